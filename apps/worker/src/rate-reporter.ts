/** Tells Redis what this replica does under load: every few seconds what its micro-batches have shown, and a last time at its end. */
import { type BatchShape, learnFleetSpeed, learnReplicaRate, RateEvidence, sizeClass } from '@shoal/autoscaling';
import { type DemandReports, repeat } from '@shoal/queue';

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
  #stop = async () => {};

  constructor(options: RateReporterOptions) {
    this.#options = options;
    this.#evidence = new RateEvidence(options.shape);
  }

  async start(): Promise<void> {
    const { reports, measured, onError } = this.#options;
    // What is not told is lost: the next batches show the same.
    if (measured !== null) await reports.begin(measured).catch(onError);
    // While Redis is away, evidence is collected, not commands.
    this.#stop = repeat(INTERVAL_MS, () => this.#report(), onError);
  }

  /** A micro-batch whose items all succeeded: their lengths in tokens, and the seconds of the replica's work that it took. */
  add(lengths: readonly number[], seconds: number): void {
    this.#evidence.add(lengths, seconds);
  }

  async stop(): Promise<void> {
    void this.#stop();
    const patience = new Promise<void>((resolve) => setTimeout(resolve, LAST_REPORT_MS).unref());
    await Promise.race([this.#report().catch(this.#options.onError), patience]);
  }

  async #report(): Promise<void> {
    const evidence = this.#evidence.take();
    if (evidence === null) return;
    await this.#options.reports.learn(({ now, replicas, rate, speeds }) => ({
      rate: learnReplicaRate(rate, evidence),
      speed: learnFleetSpeed(speeds, replicas, evidence, now),
      sizeClass: sizeClass(replicas),
    }));
  }
}
