/** What is still to be done, how long that takes, and what fits into the time that is left. */
import type { Row } from '../report/types.js';
import type { MeasureOptions } from '../trial/messages.js';
import type { Candidate, Subject } from '../types.js';
import type { Pace } from './pace.js';
import type { PlannedTime } from './plan-lines.js';
import type { Trials } from './trials.js';

export interface AgendaOptions {
  readonly subject: Subject;
  readonly pace: Pace;
  readonly trials: Trials;
  readonly choice: MeasureOptions;
  /** In ms, when the run has to end. */
  readonly deadline: number;
  readonly now: () => number;
}

export class Agenda {
  readonly #options: AgendaOptions;

  constructor(options: AgendaOptions) {
    this.#options = options;
  }

  /** Ms until the run has to end. */
  left = (): number => this.#options.deadline - this.#options.now();

  /** Until a candidate is measured on the choice part; nothing of what the journal knows. */
  timeOf(candidate: Candidate): PlannedTime {
    const { subject, pace, trials, choice } = this.#options;
    const known = trials.known(candidate);
    const make = known === undefined ? pace.making(candidate) : 0;
    const over = known !== undefined && known.kind !== 'made';
    const measured = over || trials.knownMeasure(candidate, 'choice', choice) !== undefined;
    return { candidate, make, measure: measured ? 0 : pace.measuring(subject.data.choice) };
  }

  /** Seconds that the verdicts of so many candidates take. */
  verdicts(count: number): number {
    return count * this.#options.pace.measuring(this.#options.subject.data.verdict);
  }

  /**
   * Seconds that are missing for a candidate, its verdict and those of the methods before it; 0 where it fits. Looking at what the
   * journal knows takes no time.
   */
  missingFor(candidate: Candidate, before: readonly Row[]): number {
    const { make, measure } = this.timeOf(candidate);
    if (make + measure === 0) return 0;
    const methods = new Set([candidate.method, ...before.map((row) => row.candidate.method)]);
    return Math.max(0, make + measure + this.verdicts(methods.size) - this.left() / 1000);
  }

  /** Seconds of all that is to come. */
  toCome(rows: readonly Row[]): number {
    const waiting = rows.filter(({ outcome, choice }) => outcome === 'waiting' && choice === undefined);
    const judged = rows.filter(
      ({ outcome, verdict }) => (outcome === 'waiting' || outcome === 'finalist') && verdict === undefined,
    );
    const times = waiting.map(({ candidate }) => this.timeOf(candidate));
    const making = times.reduce((sum, { make, measure }) => sum + make + measure, 0);
    return making + this.verdicts(new Set(judged.map(({ candidate }) => candidate.method)).size);
  }
}
