/** Classifiers: which class each text gets. */
import type { TextClassificationOutput } from '@shoal/contracts';
import type { Context, Example, Examples } from '../types.js';
import { chunksOf, inLockstep, type Sides } from './sides.js';
import type { Quality } from './types.js';

type Text = Extract<Example, { kind: 'text' }>;

/** By the likeliest class. Accuracy where there are labels, and agreement with the original in any case. */
export async function compareClasses(sides: Sides, examples: Examples, context: Context): Promise<Quality> {
  const items = examples.items as readonly Text[];
  const [original, candidate]: [string[], string[]] = [[], []];
  const texts = items.map(({ text }) => text);
  for await (const chunk of inLockstep(sides, chunksOf(texts), context, { top_k: 1 })) {
    for (const [own] of chunk.original.shown<TextClassificationOutput>()) original.push(own!.label);
    for (const [own] of chunk.candidate.shown<TextClassificationOutput>()) candidate.push(own!.label);
  }
  const differs = original.map((label, n) => Number(label !== candidate[n]));
  const agreement = { values: differs };
  const figures = { agreement: { original: null, candidate: 1 - meanOf(differs) } };
  if (!examples.labelled) return { losses: { agreement }, figures };
  const labels = items.map(({ label }) => label!);
  const right = (found: readonly string[]) => labels.map((label, n) => Number(label === found[n]));
  const [before, after] = [right(original), right(candidate)];
  const losses = before.map((own, n) => own - after[n]!);
  return {
    losses: { accuracy: { values: losses }, agreement },
    figures: {
      accuracy: { original: meanOf(before), candidate: meanOf(after) },
      'macro F1': { original: macroF1(labels, original), candidate: macroF1(labels, candidate) },
      'right before, wrong now': { original: null, candidate: losses.filter((loss) => loss > 0).length },
      'wrong before, right now': { original: null, candidate: losses.filter((loss) => loss < 0).length },
      ...figures,
    },
  };
}

/** The mean of the F1 of classes that have examples. */
export function macroF1(labels: readonly string[], found: readonly string[]): number {
  const scores = [...new Set(labels)].map((label) => {
    const wanted = labels.filter((own) => own === label).length;
    const given = found.filter((own) => own === label).length;
    const hits = labels.filter((own, n) => own === label && found[n] === label).length;
    return (2 * hits) / (wanted + given);
  });
  return meanOf(scores);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
