/**
 * Pairs whose first text is the same: it is tokenised once, not once per pair. What a tokenizer puts before, between and
 * after two texts does not depend on them, so rows are put together from ids.
 */
import type { TextItem } from '@shoal/contracts';
import type { Encoding, TextOrPair } from './tokenizer.js';

type Encode = (input: TextOrPair, options: { addSpecialTokens: boolean }) => Promise<Encoding>;

/** Two texts of different words, for finding the template and for trying it. */
const PROBES = [
  ['a', 'b'],
  ['one two', 'three four five'],
] as const;

/** One run of special tokens. */
interface Run {
  readonly ids: readonly number[];
  readonly typeIds: readonly number[];
}

export class PairTemplate {
  private constructor(
    private readonly runs: readonly [before: Run, between: Run, after: Run],
    private readonly typeIds: readonly [first: number, second: number],
  ) {}

  /** Null where the tokenizer's pairs are not two texts with a fixed run of tokens around each. */
  static async find(encode: Encode): Promise<PairTemplate | null> {
    let template: PairTemplate | null = null;
    for (const [first, second] of PROBES) {
      const pair = await encode([first, second], { addSpecialTokens: true });
      const [ids, typeIds] = [pair.getIds(), pair.getTypeIds()];
      const alone = async (text: string) => (await encode(text, { addSpecialTokens: false })).getIds();
      const [firstIds, secondIds] = [await alone(first), await alone(second)];
      template ??= PairTemplate.between(ids, typeIds, firstIds, secondIds);
      const joined = template?.join(Uint32Array.from(firstIds), Uint32Array.from(secondIds), null);
      const types = joined?.typeIds ?? new Uint8Array(ids.length);
      if (joined?.ids.join() !== ids.join() || types.join() !== typeIds.join()) return null;
    }
    return template;
  }

  private static between(ids: number[], typeIds: number[], first: number[], second: number[]): PairTemplate | null {
    const start = findRun(ids, first, 0);
    const end = start + first.length;
    const next = findRun(ids, second, end);
    if (first.length === 0 || second.length === 0 || start < 0 || next < 0) return null;
    const run = (from: number, to: number): Run => ({ ids: ids.slice(from, to), typeIds: typeIds.slice(from, to) });
    const runs = [run(0, start), run(end, next), run(next + second.length, ids.length)] as const;
    return new PairTemplate(runs, [typeIds[start]!, typeIds[next]!]);
  }

  /**
   * The row of two texts, cut to `maxTokens` from the longer one as tokenizers do ("longest first"), at its end or, `left`, at
   * its beginning; null: not cut.
   */
  join(first: Uint32Array, second: Uint32Array, maxTokens: number | null, side: 'left' | 'right' = 'right'): TextItem {
    const [before, between, after] = this.runs;
    const special = before.ids.length + between.ids.length + after.ids.length;
    const [n, m] =
      maxTokens === null ? [first.length, second.length] : cut(first.length, second.length, maxTokens - special);
    const ids = new Uint32Array(special + n + m);
    const types = new Uint8Array(ids.length);
    const kept = (all: Uint32Array, count: number) =>
      side === 'left' ? all.subarray(all.length - count) : all.subarray(0, count);
    let at = 0;
    const put = (values: ArrayLike<number>, typeIds: ArrayLike<number> | number) => {
      ids.set(values, at);
      if (typeof typeIds === 'number') types.fill(typeIds, at, at + values.length);
      else types.set(typeIds, at);
      at += values.length;
    };
    put(before.ids, before.typeIds);
    put(kept(first, n), this.typeIds[0]);
    put(between.ids, between.typeIds);
    put(kept(second, m), this.typeIds[1]);
    put(after.ids, after.typeIds);
    return types.some((type) => type !== 0) ? { kind: 'text', ids, typeIds: types } : { kind: 'text', ids };
  }
}

/** How much of each text stays within `max`, as in `truncate_encodings` of Hugging Face's tokenizers. */
function cut(first: number, second: number, max: number): readonly [number, number] {
  if (first + second <= max) return [first, second];
  const shorter = Math.min(first, second);
  const rest = shorter > max ? shorter : Math.max(shorter, max - shorter);
  const [less, more] = shorter + rest > max ? [Math.floor(max / 2), Math.ceil(max / 2)] : [shorter, rest];
  return first <= second ? [less, more] : [more, less];
}

/** Where `run` begins in `ids`, from `from` on; −1 where nowhere. */
function findRun(ids: readonly number[], run: readonly number[], from: number): number {
  for (let at = from; at + run.length <= ids.length; at++) {
    if (run.every((id, i) => ids[at + i] === id)) return at;
  }
  return -1;
}
