/** What is still to be done, how long that takes, and what fits into the time that is left. */
import type { Row } from '../report/types.js';
import type { MeasureOptions } from '../trial/messages.js';
import type { Candidate, Subject } from '../types.js';
import type { Pace } from './pace.js';
import type { PlannedTime } from './plan-lines.js';
import { methodsOf } from './stack.js';
import { MOST_STACKS } from './stacks.js';
import type { Trials } from './trials.js';

export interface AgendaOptions {
  readonly subject: Subject;
  readonly pace: Pace;
  readonly trials: Trials;
  readonly choice: MeasureOptions;
  /** All that there could be of the candidates that are planned. */
  readonly stacks: readonly Candidate[];
  /** In ms, when the run has to end. */
  readonly deadline: number;
  readonly now: () => number;
}

export class Agenda {
  readonly #options: AgendaOptions;
  /** Stacks that the journal did not have when it was first asked: there may be hundreds, and progress is told often. */
  #open: readonly Candidate[] | undefined;

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
   * journal knows takes no time. Stacks of the first of each method are worth more than the second of one: that leaves time for them.
   */
  missingFor(candidate: Candidate, before: readonly Row[]): number {
    const { make, measure } = this.timeOf(candidate);
    if (make + measure === 0) return 0;
    const methods = new Set([candidate, ...before.map((row) => row.candidate)].map(methodsOf));
    const second = candidate.parts === undefined && before.some((row) => row.candidate.method === candidate.method);
    const reserved = second ? this.stacks().seconds : 0;
    return Math.max(0, make + measure + reserved + this.verdicts(methods.size) - this.left() / 1000);
  }

  /** How many stacks may be tried that the journal has not, and the seconds that they take with their verdicts, about. */
  stacks(): { readonly count: number; readonly seconds: number } {
    const { stacks, pace, subject } = this.#options;
    this.#open ??= stacks.filter((stack) => secondsOf(this.timeOf(stack)) > 0);
    const open = this.#open;
    const count = Math.max(0, Math.min(MOST_STACKS - (stacks.length - open.length), open.length));
    const making = open.reduce((sum, stack) => sum + pace.making(stack), 0) / Math.max(1, open.length);
    return { count, seconds: count * (making + pace.measuring(subject.data.choice)) + this.verdicts(count) };
  }

  /** Seconds of all that is to come. */
  toCome(rows: readonly Row[]): number {
    const waiting = rows.filter(({ outcome, choice }) => outcome === 'waiting' && choice === undefined);
    const judged = rows.filter(
      ({ outcome, verdict }) => (outcome === 'waiting' || outcome === 'finalist') && verdict === undefined,
    );
    const times = waiting.map(({ candidate }) => this.timeOf(candidate));
    const making = times.reduce((sum, time) => sum + secondsOf(time), 0);
    // Once they begin, each comes with what is known by then.
    const stacks = waiting.some(({ candidate }) => candidate.parts === undefined) ? this.stacks().seconds : 0;
    return making + stacks + this.verdicts(new Set(judged.map(({ candidate }) => methodsOf(candidate))).size);
  }
}

function secondsOf({ make, measure }: PlannedTime): number {
  return make + measure;
}
