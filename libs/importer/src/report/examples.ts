/** Held-out examples that a folder brings along, `eval.jsonl`: an object a line. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseJsonFile } from '@shoal/contracts';
import { z } from 'zod';
import { fileIn } from '../checkpoint.js';
import { TRIAL_TEXTS } from '../import/texts.js';
import { invalid } from '../invalid.js';

const FILE = 'eval.jsonl';
const MAX_BYTES = 64 * 1024 * 1024;

/** What a class, a pair of texts that belong together, or only a text can measure. */
export type Examples =
  | { readonly kind: 'labelled'; readonly items: readonly { readonly text: string; readonly label: string }[] }
  | { readonly kind: 'pairs'; readonly items: readonly { readonly query: string; readonly document: string }[] }
  | { readonly kind: 'texts'; readonly items: readonly { readonly text: string }[]; readonly builtIn: boolean };

const Labelled = z.array(z.object({ text: z.string(), label: z.string() })).min(1);
const Pairs = z.array(z.object({ query: z.string(), document: z.string() })).min(1);
const Texts = z.array(z.object({ text: z.string() })).min(1);

/** A few built-in texts where `folder` has no examples. @throws ShoalError `model_invalid` where they cannot be read */
export function readExamples(folder: string): Examples {
  if (!fileIn(folder, FILE)) return { kind: 'texts', items: TRIAL_TEXTS.map((text) => ({ text })), builtIn: true };
  const path = join(folder, FILE);
  if (statSync(path).size > MAX_BYTES) throw invalid(`${path} is larger than ${MAX_BYTES / 2 ** 20} MiB`);
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line, n) => (line.trim() === '' ? [] : [parseLine(path, line, n + 1)]));
  const labelled = Labelled.safeParse(lines);
  if (labelled.success) return { kind: 'labelled', items: labelled.data };
  const pairs = Pairs.safeParse(lines);
  if (pairs.success) return { kind: 'pairs', items: pairs.data };
  const texts = Texts.safeParse(lines);
  if (texts.success) return { kind: 'texts', items: texts.data, builtIn: false };
  throw invalid(`${path}: every line must be {"text", "label"}, {"query", "document"} or {"text"}`);
}

/** All texts of the examples, as they stand. */
export function textsOf(examples: Examples): readonly string[] {
  if (examples.kind === 'pairs') return examples.items.flatMap(({ query, document }) => [query, document]);
  return examples.items.map(({ text }) => text);
}

function parseLine(path: string, line: string, number: number): unknown {
  try {
    return parseJsonFile(Buffer.from(line));
  } catch (error) {
    throw invalid(`${path}: line ${number} ${(error as Error).message}`, error);
  }
}
