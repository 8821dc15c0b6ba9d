/** Lines of a user's file as objects, each with its number: JSONL, or CSV with a header. */
import { parseJsonFile } from '@shoal/contracts';
import { parse } from 'csv-parse/sync';
import { badData } from './bad-data.js';

export const MOST_LINES = 1_000_000;

const NEWLINE = 0x0a;

/** Of what people meet; others are told by where they are. */
const CSV_FAULTS: Readonly<Record<string, string>> = {
  CSV_INVALID_CLOSING_QUOTE: ': a quote within a value has to be doubled',
  CSV_QUOTE_NOT_CLOSED: ': a quote is not closed',
  CSV_RECORD_INCONSISTENT_COLUMNS: ': it has more or fewer values than the header; those with commas need quotes',
  INVALID_OPENING_QUOTE: ': a value with a quote in it has to be in quotes, and the quote doubled',
};

export interface DataRecord {
  /** From 1. */
  readonly line: number;
  readonly value: Readonly<Record<string, unknown>>;
}

/** `name` is for messages; that it ends in `.csv` says how the file is read. @throws ShoalError `invalid_request` */
export function readRecords(name: string, bytes: Buffer): readonly DataRecord[] {
  return isCsv(name) ? readCsv(name, bytes) : readJsonLines(name, bytes);
}

export function isCsv(name: string): boolean {
  return name.toLowerCase().endsWith('.csv');
}

function readJsonLines(name: string, bytes: Buffer): readonly DataRecord[] {
  const records: DataRecord[] = [];
  let line = 0;
  for (let from = startOf(bytes); from < bytes.length; ) {
    const end = bytes.indexOf(NEWLINE, from);
    const to = end === -1 ? bytes.length : end;
    line += 1;
    refuseMany(name, line);
    const text = bytes.subarray(from, to);
    if (!isBlank(text)) records.push({ line, value: objectOf(name, line, text) });
    from = to + 1;
  }
  return records;
}

function objectOf(name: string, line: number, text: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = parseJsonFile(text);
  } catch (error) {
    // The place inside of the line would be called one of the file.
    const [reason] = (error as Error).message.split(': see');
    throw badData(`${name}: line ${line} ${reason}`, error);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw badData(`${name}: line ${line} must be an object, such as {"text": "..."}`);
}

interface CsvRow {
  readonly record: Readonly<Record<string, string>>;
  /** `lines`: of the row's last one. */
  readonly info: { readonly lines: number };
}

function readCsv(name: string, bytes: Buffer): readonly DataRecord[] {
  refuseSeparator(name, bytes);
  let rows: readonly CsvRow[];
  let hasHeader = false;
  try {
    rows = parse(bytes, {
      bom: true,
      info: true,
      skip_empty_lines: true,
      columns: (header: readonly string[]) => {
        hasHeader = true;
        return header.map((title) => title.trim());
      },
    }) as unknown as readonly CsvRow[];
  } catch (error) {
    const { lines, code } = error as { readonly lines?: number; readonly code?: string };
    const where = lines === undefined ? '' : `line ${lines} `;
    throw badData(`${name}: ${where}is not valid CSV${CSV_FAULTS[code ?? ''] ?? ''}`, error);
  }
  if (hasHeader && rows.length === 0) throw badData(`${name} has a header and no rows`);
  refuseMany(name, rows.length);
  return rows.map(({ record, info }) => ({ line: info.lines, value: record }));
}

/** No header that is known has any of the others. */
function refuseSeparator(name: string, bytes: Buffer): void {
  const end = bytes.indexOf(NEWLINE);
  const header = bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
  if (header.includes(',')) return;
  const found = [
    { mark: ';', word: 'semicolons' },
    { mark: '\t', word: 'tabs' },
  ].find(({ mark }) => header.includes(mark));
  if (found === undefined) return;
  throw badData(`${name}: its columns are separated by ${found.word}: save it with commas`);
}

function refuseMany(name: string, lines: number): void {
  if (lines <= MOST_LINES) return;
  throw badData(`${name} has more than ${MOST_LINES.toLocaleString('en')} lines: take a sample of them`);
}

/** Behind a byte order mark. */
function startOf(bytes: Buffer): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
}

function isBlank(line: Uint8Array): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}
