/** What the fleet may be scaled on: ours, by the code that serves it, and what others scale on. */
import {
  type Arrivals,
  addArrivals,
  arrivalRateAt,
  type BatchShape,
  coldStartSeconds,
  type FleetSpeed,
  learnFleetSpeed,
  learnReplicaRate,
  RateEvidence,
  replicasNeeded,
  sizeClass,
  usefulReplicas,
} from '@shoal/autoscaling';
import { BATCH, REPLICA_RATE, type Step } from './fleet.js';
import type { Random } from './random.js';

/** Told of every second in order; how many replicas it says are needed, null where it cannot be had. */
export interface Signal {
  read(step: Step): number | null;
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
export function backlog(seconds: number, rate: number = REPLICA_RATE): SignalKind {
  return {
    name: `backlog, T = ${seconds} s`,
    open: () => ({ read: ({ waitingTokens }) => waitingTokens / (rate * seconds) }),
  };
}

/** The autoscaling number, where the speed of a replica is known. */
export const shoal: SignalKind = {
  name: 'Shoal',
  open: () => new ShoalSignal({ rate: REPLICA_RATE }),
};

/** The autoscaling number, where the speed is learned from the batches that run; `first`: what is believed at the start. */
export function shoalLearning(first: number | null, shape: BatchShape = BATCH): SignalKind {
  const believed = first === null ? 'unknown' : `${first.toLocaleString('en')} tok/s`;
  return {
    name: `Shoal, speed learned, at first ${believed}`,
    open: (random) => new ShoalSignal({ rate: first, random, shape }),
  };
}

/** The same, without looking at what more replicas bring. */
export const shoalWithoutTrials: SignalKind = {
  name: 'Shoal, what more replicas bring not looked at',
  open: (random) => new ShoalSignal({ rate: null, random, trials: false }),
};

/** While the number cannot be had: `instead` (null keeps what runs). */
export function away(from: number, to: number, instead: SignalKind | null): SignalKind {
  return {
    name: instead === null ? 'Shoal, what runs is kept meanwhile' : `Shoal, meanwhile ${instead.name}`,
    open: (random) => {
      const own = shoalLearning(null).open(random);
      const other = instead?.open(random);
      return {
        read: (step) => {
          const needed = own.read(step);
          return step.t < from || step.t >= to ? needed : (other?.read(step) ?? null);
        },
      };
    },
  };
}

/** Chunks of `tokens` that wait ÷ 32 for each replica: the length of a queue in Redis. */
export function chunks(tokens: number): SignalKind {
  return { name: 'waiting chunks ÷ 32', open: () => ({ read: ({ waitingTokens }) => waitingTokens / tokens / 32 }) };
}

class ShoalSignal implements Signal {
  #arrivals: Arrivals | null = null;
  #rate: number | null;
  /** Null: the speed is known and nothing is learned. */
  readonly #random: Random | null;
  /** One per replica. */
  readonly #evidence: RateEvidence[] = [];
  readonly #coldStartSeconds = coldStartSeconds(Array.from({ length: 20 }, () => COLD_START_SECONDS));

  readonly #trials: boolean;
  readonly #shape: BatchShape;
  readonly #speeds = new Map<number, FleetSpeed>();

  constructor({
    rate,
    random = null,
    trials = true,
    shape = BATCH,
  }: {
    rate: number | null;
    random?: Random | null;
    trials?: boolean;
    shape?: BatchShape;
  }) {
    this.#rate = rate;
    this.#shape = shape;
    this.#random = random;
    this.#trials = trials;
  }

  read(step: Step): number | null {
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
      usefulReplicas: this.#trials ? usefulReplicas([...this.#speeds.values()], now) : null,
      delayObjectiveSeconds: DELAY_OBJECTIVE_SECONDS,
      coldStartSeconds: this.#coldStartSeconds,
    });
  }

  #learn({ t, replicas, batches }: Step, random: Random): void {
    while (this.#evidence.length < replicas) this.#evidence.push(new RateEvidence(this.#shape));
    for (const [n, { rows, length, seconds }] of batches.entries()) {
      const jittered = seconds * (1 + JITTER * (2 * random() - 1));
      this.#evidence[n % replicas]!.add(new Array<number>(rows).fill(length), jittered);
    }
    if (t % REPORT_SECONDS !== 0) return;
    for (const evidence of this.#evidence) {
      const told = evidence.take();
      if (told === null) continue;
      this.#rate = learnReplicaRate(this.#rate, told);
      const speed = learnFleetSpeed([...this.#speeds.values()], replicas, told, t * 1000);
      if (speed !== null) this.#speeds.set(sizeClass(replicas), speed);
    }
  }
}
