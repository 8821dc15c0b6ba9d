/** What part of the error of all verdicts each finalist gets, by what the journal knows of verdicts by the same texts. */
import { createHash } from 'node:crypto';
import type { LossMetric } from '@shoal/contracts';
import { keysOf } from '../data/parts.js';
import { shareOf } from '../gate/spending.js';
import { type Allotment, MOST_HASHES } from '../journal/entries.js';
import type { Journal } from '../journal/journal.js';
import { keyOf } from '../journal/keys.js';
import type { Candidate, Examples } from '../types.js';

export interface AllotmentsOptions {
  readonly journal: Pick<Journal, 'append' | 'allotments'>;
  /** Print of the original with all that its answers depend on. */
  readonly original: string;
  /** That verdicts are by. */
  readonly texts: Examples;
  readonly metric: LossMetric;
  readonly date: () => Date;
}

/** What these texts have judged of this original. */
export interface Spent {
  readonly commands: number;
  readonly verdicts: number;
}

/** A candidate with the SHA-256 of its graph. */
export interface Finalist {
  readonly candidate: Candidate;
  readonly sha256: string;
}

export class Allotments {
  readonly #options: AllotmentsOptions;
  /** Of all texts; and the sample that is kept of them. */
  readonly #print: string;
  readonly #hashes: readonly string[];

  constructor(options: AllotmentsOptions) {
    this.#options = options;
    const hashes = hashesOf(options.texts);
    this.#print = keyOf(hashes);
    this.#hashes = hashes.slice(0, MOST_HASHES);
  }

  get spent(): Spent {
    const known = this.#known();
    return { commands: known.reduce((most, { command }) => Math.max(most, command), 0), verdicts: known.length };
  }

  /**
   * By graph, of all that one command will judge; what has a part keeps it. The parts are on the disk before anybody sees what they
   * are for. Undefined: the texts have judged so much that nothing would be sure any more.
   *
   * @throws what writing the journal throws
   */
  allot(finalists: readonly Finalist[]): ReadonlyMap<Candidate, number | undefined> {
    const known = new Map(this.#known().map((own) => [own.key, own.alpha]));
    const fresh = new Set(finalists.map(({ sha256 }) => this.#keyOf(sha256)).filter((key) => !known.has(key)));
    const command = this.spent.commands + 1;
    const share = shareOf(command, fresh.size);
    return new Map(
      finalists.map(({ candidate, sha256 }) => {
        const key = this.#keyOf(sha256);
        if (share !== undefined && !known.has(key)) {
          this.#note(candidate, key, share, command);
          known.set(key, share);
        }
        return [candidate, known.get(key)];
      }),
    );
  }

  #known(): readonly Allotment[] {
    const { journal, original } = this.#options;
    return journal.allotments.filter((own) => own.original === original && areAlike(own.texts, this.#hashes));
  }

  #note({ method, variant, settings }: Candidate, key: string, alpha: number, command: number): void {
    const { journal, original, date } = this.#options;
    journal.append({
      ...{ kind: 'allotted', key, method, variant, settings: { ...settings }, part: 'verdict' },
      ...{ seconds: 0, at: date().toISOString(), alpha, original, texts: [...this.#hashes], command },
    });
  }

  /** Another metric is another look. */
  #keyOf(graph: string): string {
    const { original, metric } = this.#options;
    return keyOf({ step: 'allot', original, graph, metric, texts: this.#print });
  }
}

/** Of what the examples are, the least first: of two sets of texts these have as large a share in common as all have (Broder 1997). */
function hashesOf({ items }: Examples): readonly string[] {
  const hashes = items.map((example) => {
    return createHash('sha256')
      .update(JSON.stringify(keysOf(example)))
      .digest('hex')
      .slice(0, 16);
  });
  return hashes.sort();
}

/** At least half of all texts are in both: a file to which a few lines were added is no new one. */
function areAlike(a: readonly string[], b: readonly string[]): boolean {
  const [inA, inB] = [new Set(a), new Set(b)];
  const least = [...new Set([...a, ...b])].sort().slice(0, MOST_HASHES);
  return 2 * least.filter((hash) => inA.has(hash) && inB.has(hash)).length >= least.length;
}
