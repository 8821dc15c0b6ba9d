/** What `shoal predict` is to answer: a text, the lines of a stream, or those of a file, a piece at a time. */
import { createReadStream, statSync } from 'node:fs';
import { extname } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { UserError } from '@shoal/tools/user-error';
import { CsvError, parse } from 'csv-parse';

/** Longest line, in characters: what a body of a request may have, so that a file without lines is not held whole. */
const MAX_LINE = 2 * 1024 * 1024;
/** Most bytes of the inputs of one job, as JSON: half of what a body may have by default. */
const MAX_BYTES = 1024 * 1024;
/** Time in ms that inputs wait for more of a stream that has no more yet. */
const LINGER_MS = 50;
/** Rows of a CSV that travel together. */
const ROWS = 256;

export interface Input {
  /** From 1. */
  readonly line: number;
  readonly value: unknown;
  /** Bytes of the source up to its end. */
  readonly end: number;
  /** Why it cannot be sent. */
  readonly fault?: string;
}

export interface Inputs {
  /** As they are read; memory does not grow with the file. */
  readonly pieces: AsyncIterable<readonly Input[]>;
  /** Bytes of all of them; undefined: nobody knows. */
  readonly size: number | undefined;
  /** Nothing more is read. */
  close(): void;
}

export function textInput(text: string): Inputs {
  const pieces = (async function* () {
    yield [{ line: 1, value: text, end: 0 }];
  })();
  return { pieces, size: undefined, close: () => {} };
}

/** A text in each line. @throws UserError while it is read, where it is not UTF-8 */
export function streamInputs(stream: Readable, name: string): Inputs {
  return { pieces: linesOf(stream, name, asText), size: undefined, close: () => void stream.destroy() };
}

/** By its ending: texts in lines, JSONL, or the column of a CSV. @throws UserError where there is no such file, or none of these */
export function fileInputs(path: string, column: string | undefined): Inputs {
  const kind = extname(path).toLowerCase();
  const read = READERS[kind];
  if (read === undefined) throw new UserError(`--file takes .txt, .jsonl or .csv; ${path} is none of them.`);
  if (column !== undefined && kind !== '.csv') throw new UserError('--column is for --file <name>.csv.');
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new UserError(`there is no file ${path}.`);
  const stream = createReadStream(path);
  const pieces = read(stream, path, column ?? 'text');
  return { pieces, size: found.isFile() ? found.size : undefined, close: () => void stream.destroy() };
}

type Read = (stream: Readable, name: string, column: string) => AsyncGenerator<readonly Input[], void>;

const READERS: Readonly<Record<string, Read>> = {
  '.txt': (stream, name) => linesOf(stream, name, asText),
  '.jsonl': (stream, name) => linesOf(stream, name, asJson),
  '.csv': rowsOf,
};

/** Undefined: the line is none. */
type Parse = (line: string) => Pick<Input, 'value' | 'fault'> | undefined;

const asText: Parse = (value) => ({ value });

const asJson: Parse = (line) => {
  if (line.trim() === '') return undefined;
  try {
    return { value: JSON.parse(line) as unknown };
  } catch {
    return { value: null, fault: 'is not valid JSON' };
  }
};

async function* linesOf(stream: Readable, name: string, parse: Parse): AsyncGenerator<readonly Input[], void> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  let tooLong = false;
  let line = 0;
  let end = 0;
  const next = (text: string): readonly Input[] => {
    line += 1;
    end += Buffer.byteLength(text) + 1;
    const wrong = tooLong || text.length > MAX_LINE;
    tooLong = false;
    if (wrong) return [{ line, value: null, end, fault: `is longer than ${MAX_LINE.toLocaleString('en')} characters` }];
    const parsed = parse(text.endsWith('\r') ? text.slice(0, -1) : text);
    return parsed === undefined ? [] : [{ line, end, ...parsed }];
  };
  const decoded = (bytes?: Uint8Array) => {
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined });
    } catch {
      throw new UserError(`${name} is not UTF-8 text (line ${line + 1} or after it).`);
    }
  };
  for await (const bytes of stream as AsyncIterable<Uint8Array>) {
    const [first = '', ...more] = decoded(bytes).split('\n');
    const whole: Input[] = [];
    rest += first;
    for (const begun of more) {
      whole.push(...next(rest));
      rest = begun;
    }
    if (rest.length > MAX_LINE) {
      end += Buffer.byteLength(rest);
      [rest, tooLong] = ['', true];
    }
    if (whole.length > 0) yield whole;
  }
  rest += decoded();
  if (rest !== '' || tooLong) yield next(rest);
}

async function* rowsOf(stream: Readable, name: string, column: string): AsyncGenerator<readonly Input[], void> {
  const columns = (header: readonly string[]) => {
    const titles = header.map((title) => title.trim());
    if (titles.includes(column)) return titles;
    throw new UserError(`${name} has no column ${column}, but ${titles.join(', ')}: name one by --column.`);
  };
  const parser = parse({ bom: true, info: true, skip_empty_lines: true, max_record_size: MAX_LINE, columns });
  stream.on('error', (error) => parser.destroy(error));
  let rows: Input[] = [];
  try {
    for await (const { record, info } of stream.pipe(parser) as AsyncIterable<CsvRow>) {
      rows.push({ line: info.lines, value: record[column], end: info.bytes });
      if (rows.length < ROWS) continue;
      yield rows;
      rows = [];
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new UserError(`${name}: line ${String(error.lines)} is not valid CSV (${error.code}).`);
  }
  if (rows.length > 0) yield rows;
}

interface CsvRow {
  readonly record: Readonly<Record<string, string>>;
  /** `lines` and `bytes`: of the row's end. */
  readonly info: { readonly lines: number; readonly bytes: number };
}

/** Inputs of one job each: at most `most`, and fewer where a stream has no more for now. */
export async function* jobsOf(
  pieces: AsyncIterable<readonly Input[]>,
  most: number,
): AsyncGenerator<readonly Input[], void> {
  const reader = pieces[Symbol.asyncIterator]();
  let next: Promise<IteratorResult<readonly Input[]>> | undefined;
  let job: Input[] = [];
  let bytes = 0;
  const full = () => {
    const made = job;
    [job, bytes] = [[], 0];
    return made;
  };
  for (;;) {
    next ??= reader.next();
    const came = job.length === 0 ? await next : await Promise.race([next, wait(LINGER_MS)]);
    if (came === undefined) {
      yield full();
      continue;
    }
    next = undefined;
    if (came.done === true) break;
    for (const input of came.value) {
      const size = Buffer.byteLength(JSON.stringify(input.value) ?? '');
      if (job.length > 0 && (job.length >= most || bytes + size > MAX_BYTES)) yield full();
      job.push(input);
      bytes += size;
    }
  }
  if (job.length > 0) yield full();
}

/** Results in the order of their sources, `width` of them under way at once. @throws what the first of them in that order throws */
export async function* inOrder<T, R>(
  source: AsyncIterable<T>,
  width: number,
  work: (entry: T) => Promise<R>,
): AsyncGenerator<R, void> {
  const reader = source[Symbol.asyncIterator]();
  const underWay: Promise<{ readonly result: R }>[] = [];
  let next: Promise<{ readonly read: IteratorResult<T> }> | undefined;
  let ended = false;
  for (;;) {
    if (!ended && underWay.length < width) next ??= reader.next().then((read) => ({ read }));
    const [head] = underWay;
    const open = [...(head === undefined ? [] : [head]), ...(next === undefined ? [] : [next])];
    if (open.length === 0) return;
    const first = await Promise.race(open);
    if ('result' in first) {
      underWay.shift();
      yield first.result;
      continue;
    }
    next = undefined;
    if (first.read.done === true) {
      ended = true;
      continue;
    }
    const begun = work(first.read.value).then((result) => ({ result }));
    // It is thrown when it is its turn.
    begun.catch(() => {});
    underWay.push(begun);
  }
}
