/** Schemas of single environment variables: text in, typed value out, messages that say what to write instead. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { z } from 'zod';

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Any text but the empty one. */
export function text() {
  return z.string().min(1, 'must be set');
}

interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

/** A whole number within bounds, both included. */
export function integer({ min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER }: Bounds = {}) {
  const message = `must be a whole number${describeBounds(min, max)}`;
  return z
    .string()
    .regex(/^-?\d+$/, message)
    .transform(Number)
    .refine((value) => value >= min && value <= max, message);
}

/** A TCP port; 0 lets the system choose a free one. */
export function port() {
  return integer({ min: 0, max: 65_535 });
}

/** A time span in ms: `250` and `250ms`, `30s`, `5m`, `2h` or `7d`. */
export function duration({ min = 0, max = Number.MAX_SAFE_INTEGER }: Bounds = {}) {
  const bounds = min === 0 && max === Number.MAX_SAFE_INTEGER ? '' : `${describeBounds(min, max)} ms`;
  const message = `must be a time span such as 500ms, 30s, 5m, 2h or 7d${bounds}`;
  return z
    .string()
    .regex(/^\d+(\.\d+)?(ms|s|m|h|d)?$/, message)
    .transform((value) => Number.parseFloat(value) * UNITS[unitOf(value)])
    .refine((value) => value >= min && value <= max, message);
}

/** Time spans in ms, separated by commas: `0,5s,5m`. */
export function durations() {
  return z
    .string()
    .transform((value) => value.split(',').map((entry) => entry.trim()))
    .pipe(z.array(duration()).min(1));
}

function unitOf(value: string): keyof typeof UNITS {
  const unit = value.replace(/^[\d.]+/, '');
  return unit === '' ? 'ms' : (unit as keyof typeof UNITS);
}

/** `true`, `1`, `yes` or `on`; `false`, `0`, `no` or `off`; in any case. */
export function boolean() {
  return z.stringbool({
    truthy: ['true', '1', 'yes', 'on'],
    falsy: ['false', '0', 'no', 'off'],
    error: 'must be true or false',
  });
}

/** Entries separated by commas; spaces around them and empty entries are dropped. */
export function list() {
  return z.string().transform((value) =>
    value
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== ''),
  );
}

/** Names of networks that need no numbers. */
const NAMED_NETWORKS = ['loopback', 'linklocal', 'uniquelocal'];

/** IP addresses and networks in CIDR notation, separated by commas; `loopback`, `linklocal` and `uniquelocal` are names of some. */
export function addresses() {
  return list().refine(
    (entries) => entries.every(isNetwork),
    `must be IP addresses, networks such as 10.0.0.0/8, or ${NAMED_NETWORKS.join(', ')}, separated by commas`,
  );
}

function isNetwork(entry: string): boolean {
  if (NAMED_NETWORKS.includes(entry)) return true;
  const [address = '', prefix = '0', ...rest] = entry.split('/');
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return rest.length === 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits;
}

/** `name=value` separated by commas, spaces around names and values dropped; the last of a name counts. */
export function settings() {
  return list().transform((entries, context): Readonly<Record<string, string>> => {
    const wrong = entries.filter((entry) => entry.indexOf('=') < 1);
    if (wrong.length > 0) {
      const message = `must be name=value, separated by commas; not so: ${wrong.join(', ')}`;
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    }
    const parts = entries.map((entry) => entry.split(/\s*=\s*(.*)/s, 2) as [string, string]);
    return Object.fromEntries(parts);
  });
}

/** An absolute URL of one of `protocols` (without the colon), as it was written. */
export function url(protocols: readonly string[] = ['http', 'https']) {
  const message = `must be a URL that starts with ${protocols.map((name) => `${name}://`).join(' or ')}`;
  return z.string().refine((value) => {
    const parsed = URL.canParse(value) ? new URL(value) : undefined;
    return parsed !== undefined && parsed.host !== '' && protocols.includes(parsed.protocol.slice(0, -1));
  }, message);
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** The path of a PEM file with certificates; the value is the file's content. */
export function certificates() {
  return z.string().transform((path, context) => {
    try {
      const pem = readFileSync(path, 'utf8');
      const found = pem.match(CERTIFICATE) ?? [];
      for (const certificate of found) new X509Certificate(certificate);
      if (found.length > 0) return pem;
      context.addIssue('must be the path of a PEM file with certificates; this file has none');
    } catch (error) {
      const why = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
      context.addIssue(`must be the path of a PEM file with certificates; this one cannot be read${why}`);
    }
    return z.NEVER;
  });
}

function describeBounds(min: number, max: number): string {
  const above = min !== Number.MIN_SAFE_INTEGER;
  const below = max !== Number.MAX_SAFE_INTEGER;
  if (above && below) return ` from ${min} to ${max}`;
  if (above) return ` of at least ${min}`;
  return below ? ` of at most ${max}` : '';
}

/** How much is logged; `info` where left out. */
export function logLevel() {
  const levels = ['debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
  return z.enum(levels, { error: 'must be debug, info, warn, error, fatal or silent' }).default('info');
}
