/** Tells Redis what this replica does under load: every few seconds what its micro-batches have shown, and a last time at its end. */
import { type BatchShape, learnReplicaRate, RateEvidence } from '@shoal/autoscaling';
import type { DemandReports } from '@shoal/queue';

/** Two commands each time, and only while batches run. */
const INTERVAL_MS = 5000;
/** Longest time that the last report may hold up the end of the process while Redis is away. */
const LAST_REPORT_MS = 1000;

export interface RateReporterOptions {
  readonly reports: Pick<DemandReports, 'begin' | 'learn'>;
  readonly shape: BatchShape;
  /** Tokens a second of this replica as measured at its start; null where they were not. */
  readonly measured: number | null;
  readonly onError: (error: Error) => void;
}

export class RateReporter {
  readonly #options: RateReporterOptions;
  readonly #evidence: RateEvidence;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: RateReporterOptions) {
    this.#options = options;
    this.#evidence = new RateEvidence(options.shape);
  }

  async start(): Promise<void> {
    const { reports, measured } = this.#options;
    if (measured !== null) await reports.begin(measured);
    this.#schedule();
  }

  /** A micro-batch that succeeded: the lengths of its items, and the ms that it kept its place on the device. */
  add(lengths: readonly number[], ms: number): void {
    this.#evidence.add(lengths, ms / 1000);
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
      await this.#options.reports.learn((known) => learnReplicaRate(known, evidence));
    } catch (error) {
      // What it showed is lost; the next batches show the same.
      this.#options.onError(error as Error);
    }
  }
}
