/**
 * From class scores per token to entities, as transformers' token-classification pipeline does it, with two differences:
 * words are the tokenizer's own (not guessed from spaces), and BIOES tags (E-, S-, also L-, U-) end an entity.
 */
import type { TokenClassificationParameters, WireEntity } from '@shoal/contracts';
import { argmax } from '../numbers/scores.js';

export type AggregationStrategy = TokenClassificationParameters['aggregation_strategy'];

/** One token that is not a special one, or a word of several. Offsets are UTF-16 code units, `end` exclusive. */
export interface ScoredToken {
  readonly scores: Float32Array;
  readonly start: number;
  readonly end: number;
  /** Number of the word it belongs to; the special tokens' −1 does not occur here. */
  readonly word: number;
}

interface Scored {
  readonly label: number;
  readonly score: number;
  readonly start: number;
  readonly end: number;
}

/** A label without its position prefix: `B-PER` → `PER`. */
export function tagOf(label: string): string {
  return /^[BIESLU]-(.+)$/.exec(label)?.[1] ?? label;
}

/** Entities in the order of the text; those whose label or tag is in `ignored` are left out. */
export function aggregate(
  tokens: readonly ScoredToken[],
  text: string,
  labels: readonly string[],
  strategy: AggregationStrategy,
  ignored: readonly string[],
): WireEntity[] {
  const wordwise = strategy === 'first' || strategy === 'average' || strategy === 'max';
  const scored = (wordwise ? words(tokens).map((word) => joinWord(word, strategy)) : tokens).map(best);
  const entities = strategy === 'none' ? scored : groups(scored, labels).map((group) => joinGroup(group));
  const name = (entity: Scored) => labels[entity.label] ?? '';
  return entities
    .filter(
      (entity) => !ignored.includes(name(entity)) && !(strategy !== 'none' && ignored.includes(tagOf(name(entity)))),
    )
    .map((entity) => ({ ...entity, word: text.slice(entity.start, entity.end) }));
}

function best({ scores, start, end }: ScoredToken): Scored {
  const label = argmax(scores);
  return { label, score: scores[label]!, start, end };
}

function words(tokens: readonly ScoredToken[]): ScoredToken[][] {
  const list: ScoredToken[][] = [];
  for (const token of tokens) {
    const last = list.at(-1);
    if (last !== undefined && last[0]!.word === token.word) last.push(token);
    else list.push([token]);
  }
  return list;
}

function joinWord(tokens: readonly ScoredToken[], strategy: 'first' | 'average' | 'max'): ScoredToken {
  const first = tokens[0]!;
  const scores = { first: () => first.scores, average: () => mean(tokens), max: () => surest(tokens) }[strategy]();
  return { scores, start: first.start, end: tokens.at(-1)!.end, word: first.word };
}

function mean(tokens: readonly ScoredToken[]): Float32Array {
  return tokens[0]!.scores.map((_, i) => tokens.reduce((sum, { scores }) => sum + scores[i]!, 0) / tokens.length);
}

function surest(tokens: readonly ScoredToken[]): Float32Array {
  const highest = (scores: Float32Array) => scores[argmax(scores)]!;
  return tokens.reduce((a, b) => (highest(b.scores) > highest(a.scores) ? b : a)).scores;
}

/** Neighbours with the same tag, cut where one begins (B, S, U) or the one before ended (E, S, L, U). */
function groups(scored: readonly Scored[], labels: readonly string[]): Scored[][] {
  const list: Scored[][] = [];
  let before = '';
  for (const entity of scored) {
    const label = labels[entity.label] ?? '';
    const joins =
      before !== '' && tagOf(label) === tagOf(before) && !/^[BSU]-./.test(label) && !/^[ESLU]-./.test(before);
    if (joins) list.at(-1)!.push(entity);
    else list.push([entity]);
    before = label;
  }
  return list;
}

function joinGroup(group: readonly Scored[]): Scored {
  const score = group.reduce((sum, entity) => sum + entity.score, 0) / group.length;
  return { label: group[0]!.label, score, start: group[0]!.start, end: group.at(-1)!.end };
}
