/** Tells Redis what this replica does under load: every few seconds what its micro-batches have shown, and a last time at its end. */
import {
  type BatchShape,
  learnFleetSpeed,
  learnReplicaRate,
  RateEvidence,
  sizeClass,
  WorkClock,
} from '@shoal/autoscaling';
import type { DemandReports } from '@shoal/queue';

/** Two commands each time, and only while batches run. */
const INTERVAL_MS = 5000;
/** Longest time that the last report may hold up the end of the process while Redis is away. */
const LAST_REPORT_MS = 1000;

export interface RateReporterOptions {
  readonly reports: Pick<DemandReports, 'begin' | 'learn'>;
  readonly shape: BatchShape;
  /** Forward passes that run side by side; more than these take turns. */
  readonly lanes: number;
  /** Tokens a second of this replica as measured at its start; null where they were not. */
  readonly measured: number | null;
  /** Milliseconds from any origin, never going back. */
  readonly clock: () => number;
  readonly onError: (error: Error) => void;
}

export class RateReporter {
  readonly #options: RateReporterOptions;
  readonly #evidence: RateEvidence;
  readonly #work: WorkClock;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: RateReporterOptions) {
    this.#options = options;
    this.#evidence = new RateEvidence(options.shape);
    this.#work = new WorkClock(options.lanes);
  }

  async start(): Promise<void> {
    const { reports, measured } = this.#options;
    if (measured !== null) await reports.begin(measured);
    this.#schedule();
  }

  /**
   * A micro-batch has got its place on the device. The function tells that it leaves it, with the lengths of its items where
   * they all succeeded; calls after the first do nothing.
   */
  enter(): (lengths?: readonly number[]) => void {
    const entered = this.#work.enter(this.#options.clock());
    let left = false;
    return (lengths) => {
      if (left) return;
      left = true;
      const seconds = this.#work.leave(entered, this.#options.clock());
      if (lengths) this.#evidence.add(lengths, seconds);
    };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const patience = new Promise<void>((resolve) => setTimeout(resolve, LAST_REPORT_MS).unref());
    await Promise.race([this.#report(), patience]);
  }

  /** The next only after this one has come through: while Redis is away, evidence is collected and not commands. */
  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      void this.#report().then(() => this.#schedule());
    }, INTERVAL_MS);
    this.#timer.unref();
  }

  async #report(): Promise<void> {
    const evidence = this.#evidence.take();
    if (evidence === null) return;
    try {
      await this.#options.reports.learn(({ now, replicas, rate, speeds }) => ({
        rate: learnReplicaRate(rate, evidence),
        speed: learnFleetSpeed(speeds, replicas, evidence, now),
        sizeClass: sizeClass(replicas),
      }));
    } catch (error) {
      // What it showed is lost; the next batches show the same.
      this.#options.onError(error as Error);
    }
  }
}
