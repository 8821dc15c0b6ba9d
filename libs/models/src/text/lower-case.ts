/** A tokenizer.json whose texts become lower case first, as `do_lower_case` of sentence-transformers asks for. */

/** A step of `normalizer` in tokenizer.json. */
interface Normalizer {
  readonly type?: unknown;
  readonly normalizers?: readonly Normalizer[];
}

/**
 * `json` with a Lowercase in front of its normalizer, unless it has one. (By the tokenizer itself, whose lower case is that of
 * single characters, and which keeps the offsets.)
 */
export function lowerCased(json: string): string {
  const tokenizer = JSON.parse(json) as { normalizer?: Normalizer | null };
  const own = tokenizer.normalizer ?? null;
  const steps = own === null ? [] : own.type === 'Sequence' ? (own.normalizers ?? []) : [own];
  if (steps.some(({ type }) => type === 'Lowercase')) return json;
  return JSON.stringify({
    ...tokenizer,
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Lowercase' }, ...steps] },
  });
}
