/** What a run tells while it goes on: how far it is, and the page. */
import type { RunState } from '../report/types.js';
import { durationOf, lossOf } from '../report/words.js';
import { writeReport } from '../report/write-report.js';
import type { Answered } from '../teacher/types.js';
import type { Candidate } from '../types.js';
import type { Agenda } from './agenda.js';
import { speedOf } from './finalists.js';
import type { Rows } from './rows.js';
import type { OptimizeContext } from './types.js';

export interface WatchOptions {
  readonly rows: Rows;
  readonly agenda: Agenda;
  readonly context: Pick<OptimizeContext, 'now' | 'date' | 'say' | 'onProgress'>;
  /** What does not change. */
  readonly about: Omit<RunState, 'rows' | 'at' | 'state'>;
  /** Where the page is written. */
  readonly page: string;
}

export class Watch {
  readonly #options: WatchOptions;
  readonly #started: number;
  #doing = '';
  /** How far the original's answers are that it learns from; empty: it waits for none. */
  #answered = '';
  #share = 0;
  /** Seconds of the trial that is under way, as they were expected. */
  #step = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#started = options.context.now();
  }

  get page(): string {
    return this.#options.page;
  }

  begin(doing: string, expected: number): void {
    this.#doing = doing;
    this.#answered = '';
    this.#step = expected;
    this.progress(0);
  }

  /** Of the trial that is under way, from 0 to 1. */
  progress = (share: number): void => {
    this.#share = share;
    const { agenda, rows, context } = this.#options;
    const spent = (context.now() - this.#started) / 1000;
    const toCome = agenda.toCome(rows.all) - Math.min(1, share) * this.#step;
    // What does not fit into the time will be left out.
    const secondsLeft = Math.max(0, Math.min(toCome, agenda.left() / 1000));
    context.onProgress({
      share: spent / (spent + secondsLeft || 1),
      secondsLeft,
      doing: this.#doing + this.#answered,
      best: this.#best(),
    });
  };

  /** Of the questions that it learns from. */
  answered = (progress: Answered): void => {
    this.#answered = progress.done < progress.total ? `: ${answeredWords(progress)}` : '';
    this.progress(this.#share);
  };

  /** After each trial. */
  write(state: RunState['state']): RunState {
    const whole = this.state(state);
    writeReport(this.#options.page, whole);
    return whole;
  }

  /** All that is known now. */
  state(state: RunState['state']): RunState {
    const { about, rows, context } = this.#options;
    return { ...about, rows: rows.all, at: context.date().toISOString(), state };
  }

  /** After each trial: what came of it, in a line. */
  tell({ variant }: Candidate, words: string): void {
    this.#options.context.say(`  ${variant}: ${words}`);
  }

  #best(): string | undefined {
    const { rows, about } = this.#options;
    const within = rows.all.flatMap(({ candidate, choice, verdict, outcome }) => {
      const measured = verdict ?? choice;
      const good =
        measured !== undefined && measured.loss.mean <= about.allowed && outcome !== 'refused' && outcome !== 'outdone';
      return good
        ? [{ candidate, loss: measured.loss, speed: speedOf(measured.speeds), shown: measured.speeds[0]!.ratio }]
        : [];
    });
    // The fastest over all shapes; told with the figure for one text, as its own line has it.
    const [first] = within.sort((a, b) => b.speed - a.speed);
    return first && `${first.candidate.variant} ${first.shown.toFixed(2)}×, loses ${lossOf(first.loss.mean)}`;
  }
}

/** `12,000 of 50,000 texts are answered, 850/s, 45 s left` */
export function answeredWords({ done, total, perSecond }: Answered): string {
  const count = (value: number) => Math.round(value).toLocaleString('en');
  const rate = perSecond > 0 ? [`${perSecond < 10 ? perSecond.toFixed(1) : count(perSecond)}/s`] : [];
  const left = perSecond > 0 ? [`${durationOf((total - done) / perSecond)} left`] : [];
  return [`${count(done)} of ${count(total)} texts are answered`, ...rate, ...left].join(', ');
}
