/** What the fleet may be scaled on: ours, by the code that serves it, and what others scale on. */
import {
  type Arrivals,
  addArrivals,
  arrivalRateAt,
  coldStartSeconds,
  learnReplicaRate,
  RateEvidence,
  replicasNeeded,
} from '@shoal/autoscaling';
import { BATCH, REPLICA_RATE, type Step } from './fleet.js';
import type { Random } from './random.js';

/** Told of every second in order; how many replicas it says are needed. */
export interface Signal {
  read(step: Step): number;
}

export interface SignalKind {
  readonly name: string;
  readonly open: (random: Random) => Signal;
}

export const COLD_START_SECONDS = 20;
/** The default of SHOAL_DELAY_OBJECTIVE; with a cold start of 20 s, T is 20 s. */
const DELAY_OBJECTIVE_SECONDS = 30;
/** As often as a worker tells what it has learned. */
const REPORT_SECONDS = 5;
/** Passes of one size take longer or shorter by up to this share. */
const JITTER = 0.1;

/** Jobs that wait ÷ a target per replica. */
export function queueLength(target: number): SignalKind {
  return {
    name: `queue length ÷ ${target.toLocaleString('en')}`,
    open: () => ({ read: ({ waitingJobs }) => waitingJobs / target }),
  };
}

/** Tokens that wait ÷ what a replica does in `seconds`. */
export function backlog(seconds: number): SignalKind {
  return {
    name: `backlog, T = ${seconds} s`,
    open: () => ({ read: ({ waitingTokens }) => waitingTokens / (REPLICA_RATE * seconds) }),
  };
}

/** The autoscaling number, where the speed of a replica is known. */
export const shoal: SignalKind = {
  name: 'Shoal',
  open: () => new ShoalSignal(REPLICA_RATE, null),
};

/** The autoscaling number, where the speed is learned from the batches that run; `first`: what is believed at the start. */
export function shoalLearning(first: number | null): SignalKind {
  const believed = first === null ? 'unknown' : `${first.toLocaleString('en')} tok/s`;
  return { name: `Shoal, speed learned, at first ${believed}`, open: (random) => new ShoalSignal(first, random) };
}

class ShoalSignal implements Signal {
  #arrivals: Arrivals | null = null;
  #rate: number | null;
  /** Null: the speed is known and nothing is learned. */
  readonly #random: Random | null;
  /** One per replica. */
  readonly #evidence: RateEvidence[] = [];
  readonly #coldStartSeconds = coldStartSeconds(Array.from({ length: 20 }, () => COLD_START_SECONDS));

  constructor(rate: number | null, random: Random | null) {
    this.#rate = rate;
    this.#random = random;
  }

  read(step: Step): number {
    const { t, arrivedTokens, waitingJobs, waitingTokens, runningTokens } = step;
    if (this.#random !== null) this.#learn(step, this.#random);
    // What arrives in a second does so at its middle in the mean, and the number is read at its end.
    if (arrivedTokens > 0) this.#arrivals = addArrivals(this.#arrivals, arrivedTokens, (t + 0.5) * 1000);
    const now = (t + 1) * 1000;
    return replicasNeeded({
      unfinishedJobs: waitingJobs + (runningTokens > 0 ? 1 : 0),
      unfinishedTokens: waitingTokens + runningTokens,
      arrivalRate: this.#arrivals === null ? 0 : arrivalRateAt(this.#arrivals, now),
      secondsSinceArrival: this.#arrivals === null ? Number.POSITIVE_INFINITY : (now - this.#arrivals.at) / 1000,
      replicaRate: this.#rate,
      delayObjectiveSeconds: DELAY_OBJECTIVE_SECONDS,
      coldStartSeconds: this.#coldStartSeconds,
    });
  }

  #learn({ t, replicas, batches }: Step, random: Random): void {
    while (this.#evidence.length < replicas) this.#evidence.push(new RateEvidence(BATCH));
    for (const [n, { rows, length, seconds }] of batches.entries()) {
      const jittered = seconds * (1 + JITTER * (2 * random() - 1));
      this.#evidence[n % replicas]!.add(new Array<number>(rows).fill(length), jittered);
    }
    if (t % REPORT_SECONDS !== 0) return;
    for (const evidence of this.#evidence) {
      const told = evidence.take();
      if (told !== null) this.#rate = learnReplicaRate(this.#rate, told);
    }
  }
}
