/** Texts whose length in tokens is known: words that are one token each, between the two special ones. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { seededRandom } from '@shoal/training';
import { ENCODER, MODELS_DIR } from './models.js';

export interface Text {
  readonly text: string;
  /** In tokens, special ones included. */
  readonly length: number;
}

const SPECIAL_TOKENS = 2;

/** `count` texts with lengths uniform in `shortest` to `longest`, in random order. */
export async function makeTexts(count: number, shortest: number, longest: number, seed: number): Promise<Text[]> {
  const words = await wholeWords();
  const random = seededRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  return Array.from({ length: count }, () => {
    const length = shortest + below(longest - shortest + 1);
    const text = Array.from({ length: length - SPECIAL_TOKENS }, () => words[below(words.length)]).join(' ');
    return { text, length };
  });
}

/** Every k-th text by length: as many as asked for, of the same mix of lengths, in the order they came. */
export function sample(texts: readonly Text[], count: number): Text[] {
  const byLength = texts.map((_, i) => i).sort((a, b) => texts[a]!.length - texts[b]!.length || a - b);
  const kept = Array.from({ length: count }, (_, n) => byLength[Math.floor(((n + 0.5) * texts.length) / count)]!);
  return kept.sort((a, b) => a - b).map((i) => texts[i]!);
}

async function wholeWords(): Promise<string[]> {
  const file = await readFile(join(MODELS_DIR, ENCODER, '1/tokenizer.json'), 'utf8');
  const { model } = JSON.parse(file) as { model: { vocab: Record<string, number> } };
  return Object.keys(model.vocab).filter((word) => /^[a-z]{3,}$/.test(word));
}
