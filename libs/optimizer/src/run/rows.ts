/** What became of the candidates so far. */
import type { TrialEntry } from '../journal/entries.js';
import type { Outcome, Row } from '../report/types.js';
import type { Candidate } from '../types.js';

export class Rows {
  readonly #rows = new Map<Candidate, Row>();

  constructor(candidates: readonly Candidate[]) {
    for (const candidate of candidates) this.add(candidate);
  }

  add(candidate: Candidate): void {
    this.#rows.set(candidate, {
      ...{ candidate, outcome: 'waiting', reason: undefined, how: undefined, notes: [], bytes: undefined },
      ...{ choice: undefined, verdict: undefined },
    });
  }

  get all(): readonly Row[] {
    return [...this.#rows.values()];
  }

  of = (candidate: Candidate): Row => this.#rows.get(candidate)!;

  end(candidate: Candidate, outcome: Outcome, reason?: string): void {
    this.#set(candidate, { outcome, reason });
  }

  /** Undefined: time ran out before the trial ended. Resolves to whether the trial brought what was wanted of it. */
  note(candidate: Candidate, entry: TrialEntry | undefined): boolean {
    if (entry === undefined) {
      this.end(candidate, 'left_out', 'time ran out; with more of it the same command goes on');
      return false;
    }
    switch (entry.kind) {
      case 'made':
        this.#set(candidate, { how: entry.made.method, notes: entry.made.notes, bytes: entry.bytes });
        return true;
      case 'measured':
        this.#set(candidate, { [entry.part ?? 'choice']: entry.comparison });
        return true;
      default:
        this.end(candidate, entry.kind, entry.reason);
        return false;
    }
  }

  #set(candidate: Candidate, changes: Partial<Row>): void {
    this.#rows.set(candidate, { ...this.of(candidate), ...changes });
  }
}
