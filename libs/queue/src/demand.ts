/** What the autoscaling number of a queue is made of, as it stands in Redis (libs/autoscaling makes the number). */

import { type FleetSpeed, parseSpeeds } from './fleet-speeds.js';
import type { RedisClient } from './redis.js';
import { queueScript } from './scripts.js';

export interface Demand {
  /**
   * Jobs that have not ended, and their tokens: what waits and what runs. What runs is not taken off, although it is being
   * worked off: a worker that dies would leave it counted for good. It is little, a few micro-batches per replica, that is
   * a second's work where T is twenty, and HPA ignores a tenth. An array counts whole until its last item is done.
   */
  readonly unfinishedJobs: number;
  readonly unfinishedTokens: number;
  /** Tokens a second that arrived, as of `at` (Unix ms by Redis's clock); null where nothing ever did. */
  readonly arrivals: { readonly rate: number; readonly at: number } | null;
  /** When this was read, by the same clock. */
  readonly now: number;
  /** Tokens a second that a replica does under load, as workers have learned; null where none has. */
  readonly replicaRate: number | null;
  /** Seconds from start to ready of the latest replicas, latest first. */
  readonly coldStarts: readonly number[];
  /** What replicas do by how many of them work, as workers have learned. */
  readonly speeds: readonly FleetSpeed[];
}

type Value = Buffer | null;
/** As lua/demand.lua returns it. */
type Reply = [
  now: number,
  jobs: Value,
  tokens: Value,
  rate: Value,
  at: Value,
  replicaRate: Value,
  coldStarts: Buffer[],
  speeds: Buffer[],
];

const demandScript = queueScript<Reply>('demand.lua');

/** One script, so that all of it is of one moment. */
export async function readDemand(redis: RedisClient, queue: string): Promise<Demand> {
  const reply = await demandScript(redis, queue, []);
  const [now, jobs, tokens, arriving, arrived, replicaRate, coldStarts, speeds] = reply;
  const [rate, at] = [toNumber(arriving), toNumber(arrived)];
  return {
    now,
    unfinishedJobs: toNumber(jobs) ?? 0,
    unfinishedTokens: toNumber(tokens) ?? 0,
    arrivals: rate === null || at === null ? null : { rate, at },
    replicaRate: toNumber(replicaRate),
    coldStarts: coldStarts.map(Number),
    speeds: parseSpeeds(speeds),
  };
}

/** Null for what is not there, and for what is no number. */
function toNumber(value: Value): number | null {
  const number = value === null ? Number.NaN : Number(value);
  return Number.isFinite(number) ? number : null;
}
