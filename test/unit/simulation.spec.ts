/**
 * The autoscaling number in a closed loop: the code that serves it, against simulated replicas, cold starts, KEDA and HPA.
 * docs/scaling.md has the whole table, `npm run simulate` prints it.
 */
import { describe, expect, test } from 'vitest';
import { REPLICA_RATE } from '../simulation/fleet.js';
import { away, queueLength, type SignalKind, shoal, shoalLearning, shoalWithoutTrials } from '../simulation/signals.js';
import { simulate } from '../simulation/simulate.js';
import { API_AWAY, HOSTS, INTERRUPTED, SHARED, TRAFFIC, type Traffic } from '../simulation/traffic.js';

const SEEDS = [1, 2];

/**
 * What the same rule did in the study that it was chosen by, over these loads. Its replica-hours are of one seed; over 16
 * seeds that study gives 9.7 to 10.2 (9.8 in the mean) for the step and 6.3 to 6.5 (6.4) for the shift. Three per cent is
 * what a seed makes.
 */
const STUDY = {
  step: { p95: 0, replicaHours: 9.8 },
  diurnal: { p95: 0, replicaHours: 8.2 },
  shift: { p95: 0, replicaHours: 6.3 },
  onOff: { p95: 32, replicaHours: 13.5 },
} as const;
const OF_A_SEED = 1.03;

interface Result {
  readonly p95: number;
  readonly replicaHours: number;
  readonly unserved: number;
}

const played = new Map<string, Result>();

function play(traffic: Traffic, signal: SignalKind): Result {
  const key = `${traffic.name}, ${signal.name}`;
  const runs = played.has(key) ? [] : SEEDS.map((seed) => simulate(traffic, signal, seed));
  const result = played.get(key) ?? {
    p95: Math.max(...runs.map(({ p95 }) => p95)),
    replicaHours: runs.reduce((sum, run) => sum + run.replicaHours, 0) / runs.length,
    unserved: Math.max(...runs.map(({ unserved }) => unserved)),
  };
  played.set(key, result);
  return result;
}

describe.each(Object.keys(TRAFFIC) as (keyof typeof TRAFFIC)[])('%s', (name) => {
  const traffic = TRAFFIC[name];

  test('waits and costs are those of the study, with everything served', () => {
    const { p95, replicaHours, unserved } = play(traffic, shoal);
    expect(p95).toBeLessThanOrEqual(STUDY[name].p95);
    expect(replicaHours).toBeLessThanOrEqual(STUDY[name].replicaHours * OF_A_SEED);
    expect(unserved).toBe(0);
  });

  test.each([
    ['unknown', null],
    ['four times too low', REPLICA_RATE / 4],
    ['four times too high', REPLICA_RATE * 4],
  ])('a replica’s speed that is %s at first is learned: within 2 s and 5 %% of knowing it', (_, first) => {
    const known = play(traffic, shoal);
    const learned = play(traffic, shoalLearning(first));
    expect(learned.p95).toBeLessThanOrEqual(known.p95 + 2);
    expect(learned.replicaHours).toBeLessThanOrEqual(known.replicaHours * 1.05);
    expect(learned.unserved).toBe(0);
  });

  test('on queue length nobody waits less, and it takes twice the replica-hours', () => {
    const [ours, theirs] = [play(traffic, shoal), play(traffic, queueLength(10))];
    // Where the load comes all at once after a pause, both wait for a cold start.
    expect(ours.p95).toBeLessThanOrEqual(theirs.p95 + 1);
    expect(ours.replicaHours).toBeLessThan(theirs.replicaHours / 2);
  });
});

describe('where things go wrong', () => {
  test('replicas that share machines do not multiply: those that bring nothing are not asked for', {}, () => {
    for (const seed of SEEDS) {
      const blind = simulate(SHARED, shoalWithoutTrials, seed, HOSTS);
      const seeing = simulate(SHARED, shoalLearning(null), seed, HOSTS);
      expect(blind.most).toBe(40);
      expect(seeing.most).toBeLessThanOrEqual(3 * HOSTS);
      expect(seeing.replicaHours).toBeLessThan(blind.replicaHours / 4);
      expect(seeing.p95).toBeLessThanOrEqual(blind.p95);
    }
  });

  test('while the API is away nothing is added or taken away, and what piled up is worked off', {}, () => {
    for (const seed of SEEDS) {
      const { p95, replicaHours, unserved } = simulate(INTERRUPTED, away(...API_AWAY, null), seed);
      expect(p95).toBeLessThanOrEqual(5);
      expect(replicaHours).toBeLessThanOrEqual(STUDY.step.replicaHours * OF_A_SEED);
      expect(unserved).toBe(0);
    }
  });
});
