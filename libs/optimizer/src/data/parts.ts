/** Which of three parts an example is in: for learning, for choosing, for the verdict. */
import { createHash } from 'node:crypto';
import type { Example } from '../types.js';

/**
 * Shares of a file's texts. The verdict has the largest: its bound is what a user waits for, and shrinks with the root of its
 * texts alone.
 */
export const PARTS = { calibration: 0.3, choice: 0.2, verdict: 0.5 } as const;
export type Part = keyof typeof PARTS;

/** Another one would put texts into other parts, and make the verdict's texts known to what was learned before. */
const SALT = 'shoal/optimizer/parts/1';

/** Texts that are the same to a person: case, form of characters and white space do not count. */
export function normalised(text: string): string {
  return text.normalize('NFKC').toLowerCase().replace(/\s+/gu, ' ').trim();
}

/**
 * The examples of each part, in their order, without those that were there before. A text is in one part only, so pairs that
 * share a text stay together; documents of rankings may be in several, since collections share them between queries.
 */
export function partsOf(examples: readonly Example[]): Readonly<Record<Part, readonly Example[]>> {
  const groups = new Groups();
  const seen = new Set<string>();
  const kept: { readonly example: Example; readonly key: string }[] = [];
  for (const example of examples) {
    const keys = keysOf(example);
    const whole = JSON.stringify(keys);
    if (seen.has(whole)) continue;
    seen.add(whole);
    groups.join(keys);
    kept.push({ example, key: keys[0]! });
  }
  const parts: Record<Part, Example[]> = { calibration: [], choice: [], verdict: [] };
  for (const { example, key } of kept) parts[partOf(groups.leastOf(key))].push(example);
  return parts;
}

/** The texts that make an example what it is, whatever is said of them: documents of rankings are not among them. */
export function keysOf(example: Example): readonly string[] {
  if (example.kind === 'pair') return [normalised(example.query), normalised(example.document)];
  return [normalised(example.kind === 'ranking' ? example.query : example.text)];
}

function partOf(text: string): Part {
  const hash = createHash('sha256').update(SALT).update('\n').update(text).digest();
  const share = hash.readUIntBE(0, 6) / 2 ** 48;
  if (share < PARTS.calibration) return 'calibration';
  return share < PARTS.calibration + PARTS.choice ? 'choice' : 'verdict';
}

/** Texts that belong together, each group known by its least text: a union-find. */
class Groups {
  readonly #parents = new Map<string, string>();

  join(texts: readonly string[]): void {
    for (const text of texts) {
      const [a, b] = [this.leastOf(texts[0]!), this.leastOf(text)];
      if (a < b) this.#parents.set(b, a);
      else if (b < a) this.#parents.set(a, b);
    }
  }

  leastOf(text: string): string {
    let at = text;
    for (;;) {
      const parent = this.#parents.get(at);
      if (parent === undefined) {
        this.#parents.set(at, at);
        return at;
      }
      if (parent === at) return at;
      // Halves the way for whoever comes next.
      const above = this.#parents.get(parent) ?? parent;
      this.#parents.set(at, above);
      at = above;
    }
  }
}
