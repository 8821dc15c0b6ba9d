/**
 * How far a run of training is, on disk: a line of JSON, then the numbers of all tensors one behind the other, float32 in
 * little-endian order, in the order that the line names.
 */
import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { refused } from '../errors.js';
import type { Settings } from './options.js';

const FORMAT = 'shoal-training-1';
/** Names and sizes of some thousand tensors. */
const MOST_HEADER_BYTES = 16 * 1024 * 1024;

interface Header {
  readonly format: typeof FORMAT;
  readonly step: number;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly tensors: readonly (readonly [name: string, length: number])[];
}

/** What has to be the same for a run to be gone on with. */
export interface Origin extends Settings {
  /** SHA-256 of the training graph. */
  readonly graph: string;
}

export interface State {
  readonly step: number;
  readonly tensors: ReadonlyMap<string, Float32Array>;
}

/** Under another name until all of it is on the disk. */
export function saveState(path: string, origin: Origin, { step, tensors }: State): void {
  const header: Header = {
    format: FORMAT,
    step,
    settings: told(origin),
    tensors: [...tensors].map(([name, { length }]) => [name, length]),
  };
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  const file = openSync(temporary, 'w');
  try {
    writeAll(file, Buffer.from(`${JSON.stringify(header)}\n`));
    for (const { buffer, byteOffset, byteLength } of tensors.values()) {
      writeAll(file, new Uint8Array(buffer, byteOffset, byteLength));
    }
    fsyncSync(file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}

/**
 * Fills `tensors` with what the file has of them; returns the steps that are done. Nothing is changed where it does not fit.
 *
 * @throws ShoalError `invalid_request` with what does not fit
 */
export function loadState(path: string, origin: Origin, tensors: ReadonlyMap<string, Float32Array>): number {
  const file = opened(path);
  try {
    const { header, end } = readHeader(path, file);
    checkSettings(path, header, origin);
    const wanted = [...tensors].map(([name, { length }]) => `${name} ${length}`);
    const there = header.tensors.map(([name, length]) => `${name} ${length}`);
    if (wanted.join('\n') !== there.join('\n')) throw refused(`${path} is the state of a run with other weights`);
    const bytes = [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (fstatSync(file).size !== end + bytes) throw refused(`${path} is not whole: start the run anew`);
    let at = end;
    for (const { buffer, byteOffset, byteLength } of tensors.values()) {
      readAll(file, new Uint8Array(buffer, byteOffset, byteLength), at);
      at += byteLength;
    }
    return header.step;
  } finally {
    closeSync(file);
  }
}

function opened(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw refused(`${path} cannot be read: ${(error as Error).message}`);
  }
}

/** As JSON has them: `Infinity` is a text there. */
function told(settings: Origin): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [name, value === Number.POSITIVE_INFINITY ? 'Infinity' : value]),
  );
}

function readHeader(path: string, file: number): { header: Header; end: number } {
  const start = Buffer.alloc(Math.min(MOST_HEADER_BYTES, fstatSync(file).size));
  readAll(file, start, 0);
  const end = start.indexOf('\n') + 1;
  let json: unknown;
  try {
    json = JSON.parse(start.toString('utf8', 0, end));
  } catch {
    throw refused(`${path} is not the state of a run of training`);
  }
  if (!isHeader(json)) throw refused(`${path} is not the state of a run of training`);
  return { header: json, end };
}

function isHeader(json: unknown): json is Header {
  if (typeof json !== 'object' || json === null) return false;
  const { format, step, settings, tensors } = json as Partial<Record<keyof Header, unknown>>;
  if (format !== FORMAT || !Number.isSafeInteger(step) || (step as number) < 0) return false;
  return typeof settings === 'object' && settings !== null && Array.isArray(tensors) && tensors.every(Array.isArray);
}

function checkSettings(path: string, { settings }: Header, own: Origin): void {
  for (const [name, value] of Object.entries(told(own))) {
    if (settings[name] !== value) {
      throw refused(`${path} is of a run with ${name} ${settings[name]}, and this one has ${value}`);
    }
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done);
}

function readAll(file: number, bytes: Uint8Array, from: number): void {
  for (let done = 0; done < bytes.length; ) {
    const read = readSync(file, bytes, done, bytes.length - done, from + done);
    if (read === 0) throw refused('the file has become shorter while it was read');
    done += read;
  }
}
