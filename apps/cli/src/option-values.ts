/** Values of options, as people write them on the command line. */
import { UserError } from '@shoal/tools/user-error';
import { InvalidArgumentError } from 'commander';

const UNITS = { '': 1, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 } as const;

export function whole(least: number, most: number): (value: string) => number {
  return (value) => {
    if (/^\d{1,9}$/.test(value) && Number(value) >= least && Number(value) <= most) return Number(value);
    throw new InvalidArgumentError(`It takes a whole number from ${least} to ${most.toLocaleString('en')}.`);
  };
}

/** A share. Without a sign 1 would be all, which nobody means. */
export function lossOf(value: string): number {
  const [, digits, sign] = /^(\d{1,3}(?:\.\d{1,9})?) ?(%?)$/.exec(value) ?? [];
  const share = Number(digits) / (sign === '%' ? 100 : 1);
  if (digits !== undefined && share < 1) return share;
  throw new InvalidArgumentError('It takes a share such as 1% or 0.01.');
}

export function methodsOf(value: string): string[] {
  const names = value.split(',').map((name) => name.trim());
  if (!names.includes('')) return names;
  throw new InvalidArgumentError('It takes names of methods, as --plan shows them: int8,int4.');
}

/** Of a time as people write it, in seconds. */
export function seconds(value: string): number {
  return span(1000, 1000 * 3_600_000)(value) / 1000;
}

/** Of time, in ms. */
export function span(least: number, most: number): (value: string) => number {
  const units = { s: 1000, m: 60_000, h: 3_600_000 } as const;
  return (value) => {
    const [, count, unit] = /^(\d{1,6}(?:\.\d{1,3})?) ?([smh])$/.exec(value) ?? [];
    const ms = Number(count) * units[unit as keyof typeof units];
    if (ms >= least && ms <= most) return ms;
    throw new InvalidArgumentError(`It takes a time from ${least / 1000}s to ${most / 3_600_000}h, such as 90s or 5m.`);
  };
}

export function listOf(value: string): string[] {
  const parts = value.split(',').map((part) => part.trim());
  if (!parts.includes('')) return parts;
  throw new InvalidArgumentError('It takes fp32, fp16, int8, int4, kept, or several: fp32,int8.');
}

/** Not checked while the line is read: what is wrong is shown then, and may hold a password. */
export function webAddress(value: string, option = '--url'): string {
  const { protocol, username, password } = URL.canParse(value) ? new URL(value) : new URL('none:');
  if (/^https?:$/.test(protocol) && username === '' && password === '') return value;
  throw new UserError(`${option} takes an http:// or https:// URL without user and password.`);
}

export function sha256(value: string): string {
  if (/^[0-9a-f]{64}$/i.test(value)) return value.toLowerCase();
  throw new InvalidArgumentError('It takes 64 hexadecimal digits.');
}

/** Bytes. */
export function size(value: string): number {
  const [, digits, unit] = /^([1-9]\d{0,14})(|[KMGT]i)$/.exec(value) ?? [];
  if (digits === undefined) throw new InvalidArgumentError('It takes bytes, or a size such as 512Mi or 4Gi.');
  return Number(digits) * UNITS[unit as keyof typeof UNITS];
}

export function jsonObject(json: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new InvalidArgumentError(`It takes a JSON object, such as '{"top_k": 2}'.`);
}
