/**
 * What replicas bring when there are more of them. Replicas that share cores, a disk or a memory bus slow each other down:
 * each one that is added makes all of them slower, so the need that is counted in replicas grows, and runs away. A growth
 * is therefore a trial: the speed of a replica just before it beside the one just after it. Where the whole fleet gained
 * next to nothing, more replicas than before are of no use.
 */
import { type Evidence, learnReplicaRate } from './replica-rate.js';

/** A growth of the fleet that was watched. Rates are tokens a second of one replica under load. */
export interface Trial {
  readonly fromReplicas: number;
  readonly fromRate: number;
  readonly toRate: number;
  /** Unix ms. */
  readonly at: number;
}

/** What is known of a fleet of about this size. */
export interface FleetSpeed {
  /** How many worked. One fleet of each size class is remembered (`sizeClass`). */
  readonly replicas: number;
  /** Tokens a second of one replica while so many worked. */
  readonly rate: number;
  /** Unix ms of the last lesson. */
  readonly at: number;
  /** The growth to this size that was watched last; null where none was. */
  readonly trial: Trial | null;
}

/** The speed before a growth counts for so long: later the load may be another. */
const BESIDE_MS = 120_000;
/** A verdict stands for so long, unless the speed that it began from changes; then a growth is tried again. */
const TRUST_MS = 3_600_000;
/** Growth by less shows nothing beside the noise of a measurement. */
const LEAST_GROWTH = 1.5;
/** Of what a growth should bring, the least that it must: twice the replicas must do a quarter more. */
const WORTH = 0.25;
/** A replica that has become faster or slower by this factor since a trial does other work, or has other neighbours. */
const DRIFT = 1.25;

/** 1, 2, 3, 4, 6, 8, 12, 16, ...: the largest that is not above `replicas`, so that what is kept is little. */
export function sizeClass(replicas: number): number {
  const power = 2 ** Math.floor(Math.log2(Math.max(1, replicas)));
  return replicas >= 1.5 * power && power > 1 ? 1.5 * power : power;
}

/**
 * What is known of a fleet of `replicas` after one of them has shown `evidence`; null where it shows nothing.
 *
 * @param known what was known, of every size
 */
export function learnFleetSpeed(
  known: readonly FleetSpeed[],
  replicas: number,
  evidence: Evidence,
  now: number,
): FleetSpeed | null {
  const own = known.find((speed) => sizeClass(speed.replicas) === sizeClass(replicas));
  const current = own && now - own.at < BESIDE_MS ? own.rate : null;
  const rate = learnReplicaRate(current, evidence);
  if (rate === null) return null;
  const before = known
    .filter((speed) => speed.replicas * LEAST_GROWTH <= replicas && now - speed.at < BESIDE_MS)
    .toSorted((a, b) => b.replicas * b.rate - a.replicas * a.rate)[0];
  const trial = before
    ? { fromReplicas: before.replicas, fromRate: before.rate, toRate: rate, at: now }
    : (own?.trial ?? null);
  return { replicas, rate, at: now, trial };
}

/** The most replicas that are of use; null where more have always helped, or nothing is known. */
export function usefulReplicas(known: readonly FleetSpeed[], now: number): number | null {
  const useless = known.filter(({ replicas, trial }) => {
    if (trial === null || now - trial.at > TRUST_MS) return false;
    const { rate = trial.fromRate } = known.find((speed) => speed.replicas === trial.fromReplicas) ?? {};
    const drift = rate / trial.fromRate;
    if (drift > DRIFT || drift < 1 / DRIFT) return false;
    const growth = replicas / trial.fromReplicas - 1;
    const gain = (replicas * trial.toRate) / (trial.fromReplicas * trial.fromRate) - 1;
    return gain < WORTH * growth;
  });
  return useless.length === 0 ? null : Math.min(...useless.map(({ trial }) => trial!.fromReplicas));
}
