/** One run: traffic → queue → replicas, and a signal that KEDA and the HPA scale them on. */
import { Fleet, type Step } from './fleet.js';
import { Kubernetes } from './kubernetes.js';
import { seeded } from './random.js';
import { COLD_START_SECONDS, type SignalKind } from './signals.js';
import { type Text, TextFleet } from './text-fleet.js';
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
  return play(new Fleet(hosts), traffic, kind, seed);
}

/** `lengthsKnown`: see TextFleet. Waits are those for the first token. */
export function simulateTexts(
  traffic: Traffic<Text>,
  kind: SignalKind,
  seed: number,
  options?: { readonly lengthsKnown: boolean },
): Outcome {
  return play(new TextFleet(options), traffic, kind, seed);
}

interface Served<Job> {
  readonly waitingJobs: number;
  step(t: number, arrivals: readonly Job[], replicas: number): Step;
  wait(p: number): number;
}

function play<Job>(fleet: Served<Job>, traffic: Traffic<Job>, kind: SignalKind, seed: number): Outcome {
  const random = seeded(seed);
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
