/** What a fetched chunk holds that is still to be done: references in BullMQ, items in the jobs' records. */
import type { WireItem } from '@shoal/contracts';
import { type Chunk, RANKS } from './chunks.js';
import { unpack } from './codec.js';
import { type ChunkLock, type ClaimedItem, Dropped } from './engine.js';
import { formatJobId } from './keys.js';
import type { PackedTask } from './records.js';
import type { RedisClient } from './redis.js';
import { queueScript } from './scripts.js';

/** As lua/claim.lua returns it; empty where nothing is to be done. */
type ClaimedSlice = [
  items: Buffer,
  task: Buffer,
  tenant: Buffer,
  first: number,
  created: number,
  done: number[],
  strikes: number[],
  attempts: number[],
  written: number[],
];

const claimScript = queueScript<[now: number, slices: (ClaimedSlice | [])[] | null, place: Buffer | null]>('claim.lua');

/** Null where the chunk goes back in the fair order. */
export async function claim(
  redis: RedisClient,
  queue: string,
  chunk: Chunk,
  fetched: ChunkLock,
): Promise<ClaimedItem[] | null> {
  const [now, claimed, place] = await claimScript(redis, queue, requestOf(fetched.id, chunk));
  if (claimed === null) return null;
  const lock = place === null ? fetched : { ...fetched, tag: Number(place.toString()) };
  const flags = new Map<string, Dropped>();
  return chunk.slices.flatMap(([ulid, slice], s) => {
    const found = claimed[s];
    if (!found || found.length === 0) return [];
    const dropped = flags.get(ulid) ?? new Dropped();
    flags.set(ulid, dropped);
    const [packed, packedTask, owner, first, created, done, strikes, attempts, written] = found;
    const tenant = owner.toString();
    const [items, lengths] = unpack<[WireItem[], number[]]>(packed);
    const [task, parameters, trace, graph] = unpack<PackedTask>(packedTask);
    const jobId = formatJobId({ queue, ulid });
    return items.flatMap((item, i): ClaimedItem[] => {
      if (done[i] === 1) return [];
      return [
        {
          jobId,
          tenant,
          rank: chunk.turn?.rank ?? RANKS.high,
          ulid,
          slice,
          n: first + i,
          lock,
          dropped,
          item,
          length: lengths[i]!,
          task,
          parameters,
          strikes: strikes[i] ?? 0,
          attempts: attempts[i] ?? 0,
          written: written[i] ?? 0,
          queuedMs: Math.max(0, now - created),
          trace: trace ?? undefined,
          graph,
        },
      ];
    });
  });
}

/** What lua/claim.lua is asked. */
function requestOf(id: string, { tag, slices, turn }: Chunk): (string | number)[] {
  const { tenant, rank, overtaken } = turn ?? { tenant: '', rank: 1, overtaken: 0 };
  return [id, tag, tenant, rank, overtaken, ...slices.flat()];
}
