/** A user's file, checked and in three parts. */
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { Data, Example, Examples } from '../types.js';
import { badData } from './bad-data.js';
import { examplesOf, type LabelledModel } from './examples.js';
import { PARTS, type Part, partsOf } from './parts.js';
import { readRecords } from './records.js';

const MOST_BYTES = 256 * 1024 * 1024;
/** Of each part: with fewer there is nothing that choices or a verdict could rest on. */
const LEAST = 10;

/**
 * Reads JSONL, or CSV where the name ends so: texts with or without labels, pairs, graded rankings or entities, all lines of
 * one form. `model` is what labels are checked against, where it is known.
 *
 * @throws ShoalError `invalid_request`: one line that names the file, and the line of it that is wrong
 */
export function readData(file: string, model?: LabelledModel): Data {
  const name = basename(file);
  const bytes = bytesOf(file, name);
  const { read, unused } = examplesOf(name, readRecords(name, bytes), model);
  const examples = read.map(({ example }) => example);
  const parts = partsOf(examples);
  const counts = (Object.keys(PARTS) as Part[]).map((part) => parts[part].length);
  const distinct = counts.reduce((sum, count) => sum + count, 0);
  if (distinct === 1 && examples.length > 1) {
    throw badData(`${name}: all ${examples.length} lines have the same text: nothing can be told apart by it`);
  }
  if (Math.min(...counts) < LEAST) throw tooFew(name, distinct, counts, examples[0]!.kind);
  return {
    file,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    calibration: together(parts.calibration),
    choice: together(parts.choice),
    verdict: together(parts.verdict),
    unused,
  };
}

function bytesOf(file: string, name: string): Buffer {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw badData(`there is no file ${file}`);
  if (!stat.isFile()) throw badData(`${file} is not a regular file`);
  if (stat.size > MOST_BYTES) throw badData(`${name} is larger than ${MOST_BYTES / 2 ** 20} MiB: take a sample of it`);
  const bytes = readFileSync(file);
  if (!isUtf8(bytes)) throw badData(`${name} is not UTF-8 text: save it as that`);
  return bytes;
}

function tooFew(name: string, distinct: number, counts: readonly number[], kind: Example['kind']): Error {
  const what = { text: 'texts', pair: 'pairs', ranking: 'queries', entities: 'texts' }[kind];
  // With room for chance: the smallest part has a fifth of them.
  const enough = 8 * LEAST;
  const why =
    distinct < enough
      ? `give ${enough} or more`
      : 'pairs that share a text stay together, and here too many do: give others';
  return badData(
    `${name}: ${distinct} different ${what} make parts of ${counts.join(', ')} for learning, choosing and the verdict, and each needs ${LEAST}: ${why}`,
  );
}

function together(items: readonly Example[]): Examples {
  return {
    kind: items[0]!.kind,
    items,
    labelled: items.every((item) => item.kind === 'text' && item.label !== undefined),
  };
}
