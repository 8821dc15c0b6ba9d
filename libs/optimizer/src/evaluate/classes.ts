/** Classifiers: which class each text gets. */
import type { TextClassificationOutput } from '@shoal/contracts';
import type { Context, Example, Examples } from '../types.js';
import { hasManyLabels } from './metrics.js';
import { chunksOf, inLockstep, type Sides } from './sides.js';
import type { Quality } from './types.js';

type Text = Extract<Example, { kind: 'text' }>;

/** Of a label that a text has, where it may have several. */
const HAS = 0.5;

/**
 * By the likeliest class; where a text may have several, by all that it has. Accuracy where there are labels, and agreement with
 * the original in any case.
 */
export async function compareClasses(sides: Sides, examples: Examples, context: Context): Promise<Quality> {
  const items = examples.items as readonly Text[];
  const [original, candidate]: [string[], string[]] = [[], []];
  const texts = items.map(({ text }) => text);
  const { model } = sides.original;
  const many = hasManyLabels(model);
  const found = (scores: TextClassificationOutput) => (many ? namesOf(scores) : scores[0]!.label);
  for await (const chunk of inLockstep(sides, chunksOf(texts), context, { top_k: many ? model.labels.length : 1 })) {
    original.push(...chunk.original.shown<TextClassificationOutput>().map(found));
    candidate.push(...chunk.candidate.shown<TextClassificationOutput>().map(found));
  }
  // Of these texts: nothing was timed yet.
  const { passed } = sides.candidate;
  const share: Pick<Quality, 'escalated'> = passed === undefined ? {} : { escalated: passed.escalated / passed.rows };
  const differs = original.map((label, n) => Number(label !== candidate[n]));
  const agreement = { values: differs };
  const figures = {
    agreement: { original: null, candidate: 1 - meanOf(differs) },
    ...(share.escalated !== undefined && {
      'share that the teacher answers': { original: null, candidate: share.escalated },
    }),
  };
  if (!examples.labelled || many) return { losses: { agreement }, figures, ...share };
  const labels = items.map(({ label }) => label!);
  const right = (found: readonly string[]) => labels.map((label, n) => Number(label === found[n]));
  const [before, after] = [right(original), right(candidate)];
  const losses = before.map((own, n) => own - after[n]!);
  return {
    ...share,
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

/** Of all labels that it has, in one order. */
function namesOf(scores: TextClassificationOutput): string {
  const names = scores.filter(({ score }) => score >= HAS).map(({ label }) => label);
  return JSON.stringify(names.sort());
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
