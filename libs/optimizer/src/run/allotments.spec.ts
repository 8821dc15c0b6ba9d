/** However many commands judge by the same texts, the chance that one of them lets something pass wrongly stays within 5 %. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '@shoal/training';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ALPHA, boundOf } from '../gate/bound.js';
import { judge } from '../gate/judge.js';
import { LEAST_ALPHA, shareOf } from '../gate/spending.js';
import { Journal } from '../journal/journal.js';
import { keyOf } from '../journal/keys.js';
import type { Examples } from '../types.js';
import { Allotments, type Finalist } from './allotments.js';

let folder: string;
let journal: Journal;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-allotments-'));
  journal = new Journal(join(folder, 'journal.jsonl'));
});
afterEach(() => {
  journal.close();
  rmSync(folder, { recursive: true });
});

const ORIGINAL = 'a'.repeat(64);

function texts(count: number, from = 0): Examples {
  const items = Array.from({ length: count }, (_, n) => ({ kind: 'text' as const, text: `text ${from + n}` }));
  return { kind: 'text', items, labelled: false };
}

function allotments(changes: { readonly original?: string; readonly texts?: Examples; readonly metric?: 'f1' } = {}) {
  const options = { journal, original: ORIGINAL, texts: texts(300), metric: 'accuracy' as const };
  return new Allotments({ ...options, date: () => new Date(0), ...changes });
}

const finalists = (...names: readonly string[]): Finalist[] =>
  names.map((variant) => ({
    candidate: { method: 'm', variant, settings: {}, seconds: 1 },
    sha256: keyOf(variant),
  }));

const alphas = (of: Allotments, ...names: readonly string[]) => [...of.allot(finalists(...names)).values()];

test('the shares of all commands together are never more than the error', () => {
  let sum = 0;
  for (let command = 1; command <= 30; command++) {
    const verdicts = 1 + ((7 * command) % 5);
    sum += verdicts * (shareOf(command, verdicts) ?? 0);
  }
  expect(sum).toBeLessThanOrEqual(ALPHA);
  expect(shareOf(1, 1)).toBe(ALPHA / 2);
  // What is left of it is so little that no count of texts is sure of it.
  expect(shareOf(30, 1)).toBeUndefined();
  expect(shareOf(1, ALPHA / 2 / LEAST_ALPHA + 1)).toBeUndefined();
});

test('a command shares its part alike, and the next one has less; what has a part keeps it, also in another process', () => {
  expect(alphas(allotments(), 'a', 'b')).toEqual([ALPHA / 4, ALPHA / 4]);
  expect(allotments().spent).toEqual({ commands: 1, verdicts: 2 });
  expect(alphas(allotments(), 'a', 'b')).toEqual([ALPHA / 4, ALPHA / 4]);
  expect(alphas(allotments(), 'b', 'c', 'd')).toEqual([ALPHA / 4, ALPHA / 12, ALPHA / 12]);
  journal.close();
  journal = new Journal(join(folder, 'journal.jsonl'));
  expect(journal.unread).toBe(0);
  expect(allotments().spent).toEqual({ commands: 2, verdicts: 4 });
  expect(alphas(allotments(), 'a', 'd')).toEqual([ALPHA / 4, ALPHA / 12]);
});

test('two candidates with one graph are one', () => {
  const [a] = finalists('a');
  const twice = [a!, { ...a!, candidate: { ...a!.candidate, variant: 'b' } }];
  expect([...allotments().allot(twice).values()]).toEqual([ALPHA / 2, ALPHA / 2]);
  expect(allotments().spent.verdicts).toBe(1);
});

test('other texts and another original begin anew; a few lines more, and another metric, do not', () => {
  alphas(allotments(), 'a');
  expect(alphas(allotments({ texts: texts(300, 1000) }), 'a')).toEqual([ALPHA / 2]);
  expect(alphas(allotments({ original: 'b'.repeat(64) }), 'a')).toEqual([ALPHA / 2]);
  // Ten lines more are judged anew, which is the second look at most of them.
  expect(alphas(allotments({ texts: texts(310) }), 'a')).toEqual([ALPHA / 6]);
  expect(alphas(allotments({ metric: 'f1' }), 'a')).toEqual([ALPHA / 12]);
});

test('texts that have judged too much judge nothing more, and what they have judged stays', () => {
  const many = Array.from({ length: 200 }, (_, n) => `v${n}`);
  expect(alphas(allotments(), 'a')).toEqual([ALPHA / 2]);
  expect(alphas(allotments(), 'a', ...many)).toEqual([ALPHA / 2, ...many.map(() => undefined)]);
  expect(allotments().spent).toEqual({ commands: 1, verdicts: 1 });
});

describe('commands that judge, again and again by the same texts, variants that lose just what is not allowed', () => {
  const [RUNS, COMMANDS, TEXTS, LOSS] = [400, 6, 700, 0.01];

  /** Share of users who get one that passes; each command judges `verdicts`. */
  function wrongOf(verdicts: number, share: (command: number) => number): number {
    const random = seededRandom(verdicts);
    const bounds = new Map<string, number>();
    const passes = (alpha: number) => {
      // One point more is lost than gained.
      const losses = Float64Array.from({ length: TEXTS }, () => {
        const draw = random();
        return draw < LOSS + 0.01 ? 1 : draw < LOSS + 0.02 ? -1 : 0;
      });
      const lost = losses.filter((loss) => loss > 0).length;
      const gained = losses.filter((loss) => loss < 0).length;
      const key = `${lost} ${gained} ${alpha}`;
      const bound = bounds.get(key) ?? boundOf(losses, random, { alpha }).bound;
      bounds.set(key, bound);
      const loss = { metric: 'accuracy' as const, mean: (lost - gained) / TEXTS, bound, texts: TEXTS };
      return judge({ loss, speeds: [], figures: {} }, { loss: LOSS }).kind === 'passed';
    };
    let wrong = 0;
    for (let run = 0; run < RUNS; run++) {
      let passed = false;
      for (let command = 1; command <= COMMANDS; command++) {
        for (let n = 0; n < verdicts; n++) passed = passes(share(command)) || passed;
      }
      if (passed) wrong += 1;
    }
    return wrong / RUNS;
  }

  test.each([1, 3])('%i in each: at most one user of twenty gets something that should not have passed', (verdicts) => {
    // 400 users of whom each has a chance of 5 % are under 7.2 % nearly always.
    expect(wrongOf(verdicts, (command) => shareOf(command, verdicts)!)).toBeLessThan(0.072);
    // By themselves, as if each command were the first, they are not.
    expect(wrongOf(verdicts, () => ALPHA / verdicts)).toBeGreaterThan(0.15);
  });
});
