/** Models that rank documents. */
import type { WireOutput } from '@shoal/contracts';
import { badData } from '../data/bad-data.js';
import type { Context, Example, Examples, GradedDocument } from '../types.js';
import { ndcg, reciprocalRank, spearman } from './rankings.js';
import { inLockstep, type Sides } from './sides.js';
import type { Quality } from './types.js';
import { paired } from './vectors.js';

/** Documents of other pairs that a pair's own is ranked among. */
const OTHERS = 19;

type Ranking = Extract<Example, { kind: 'ranking' }>;

/** Of pairs each document is ranked among those of the next pairs. */
export async function compareScores(sides: Sides, { items }: Examples, context: Context): Promise<Quality> {
  const rankings = rankingsOf(items);
  const chunks = rankings.map(({ query, documents }) => [{ query, documents: documents.map(({ text }) => text) }]);
  const [before, after]: [number[], number[]] = [[], []];
  const [first, second]: [number[], number[]] = [[], []];
  const alike: number[] = [];
  for await (const chunk of inLockstep(sides, chunks, context, { function_to_apply: 'none' })) {
    const grades = rankings[before.length]!.documents.map(({ grade }) => grade);
    const [own, others] = [scoresOf(chunk.original.outputs), scoresOf(chunk.candidate.outputs)];
    before.push(ndcg(own, grades));
    after.push(ndcg(others, grades));
    first.push(reciprocalRank(own, grades));
    second.push(reciprocalRank(others, grades));
    const value = spearman(own, others);
    alike.push(Number.isNaN(value) ? 0 : value);
  }
  const gain = paired(before, after);
  const mean = alike.reduce((sum, value) => sum + value, 0) / alike.length;
  return {
    losses: { 'ndcg@10': gain.losses },
    figures: {
      'nDCG@10': gain.figure,
      MRR: paired(first, second).figure,
      'rank correlation': { original: null, candidate: mean },
    },
  };
}

export function rankingsOf(items: readonly Example[]): readonly Ranking[] {
  const pairs = items.flatMap((item) => (item.kind === 'pair' ? [item] : []));
  if (pairs.length === 0) return items.flatMap((item) => (item.kind === 'ranking' ? [item] : []));
  return pairs.map(({ query, document }, n) => {
    const others: GradedDocument[] = [];
    for (let next = 1; next < pairs.length && others.length < OTHERS; next++) {
      const text = pairs[(n + next) % pairs.length]!.document;
      if (text !== document) others.push({ text, grade: 0 });
    }
    return { kind: 'ranking', query, documents: [{ text: document, grade: 1 }, ...others] };
  });
}

function scoresOf(outputs: readonly WireOutput[]): readonly number[] {
  return outputs.map((output) => {
    if (output.kind === 'score') return output.score;
    throw badData('the model gives no scores');
  });
}
