/** One run: traffic → queue → replicas, and a signal that KEDA and the HPA scale them on. */
import { Fleet } from './fleet.js';
import { Kubernetes } from './kubernetes.js';
import { seeded } from './random.js';
import { COLD_START_SECONDS, type SignalKind } from './signals.js';
import { arrivalsAt, DURATION_SECONDS, type Traffic } from './traffic.js';

export interface Outcome {
  /** Seconds in the queue, in whole seconds. */
  readonly p50: number;
  readonly p95: number;
  readonly replicaHours: number;
  /** Replicas at the peak. */
  readonly most: number;
  readonly events: number;
  /** Jobs that still wait at the end. */
  readonly unserved: number;
}

/** `hosts`: see Fleet. */
export function simulate(traffic: Traffic, kind: SignalKind, seed: number, hosts?: number): Outcome {
  const random = seeded(seed);
  const fleet = new Fleet(hosts);
  const kubernetes = new Kubernetes(COLD_START_SECONDS);
  // Of its own, so that every signal sees the same traffic.
  const signal = kind.open(seeded(seed + 1_000_000));
  let replicaSeconds = 0;
  let most = 0;
  for (let t = 0; t < DURATION_SECONDS; t++) {
    const step = fleet.step(t, arrivalsAt(traffic, random, t), kubernetes.readyAt(t));
    kubernetes.control(t, signal.read(step));
    replicaSeconds += kubernetes.replicas;
    most = Math.max(most, kubernetes.replicas);
  }
  return {
    p50: fleet.wait(0.5),
    p95: fleet.wait(0.95),
    replicaHours: replicaSeconds / 3600,
    most,
    events: kubernetes.events,
    unserved: fleet.waitingJobs,
  };
}
