/** Examples of tests. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Data, Example } from '../types.js';

const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures', import.meta.url));

/** Lines of a bundled model's held-out examples. */
export function heldOut<T>(name: 'wordnet-topic' | 'wordnet-embed'): readonly T[] {
  const lines = readFileSync(join(FIXTURES, name, 'eval.jsonl'), 'utf8')
    .trim()
    .split('\n');
  return lines.map((line) => JSON.parse(line) as T);
}

/** Every third for each part of a user's file. */
export function inThirds(items: readonly Example[], labelled = false): Data {
  const kind = items[0]?.kind ?? 'text';
  const part = (n: number) => ({ kind, items: items.filter((_, at) => at % 3 === n), labelled });
  const about = { file: 'examples.jsonl', sha256: '0'.repeat(64) };
  return { ...about, calibration: part(0), choice: part(1), verdict: part(2) };
}
