/** What a worker writes about the items it holds, each time under the lock of the chunk they came with. */

import type { ItemResult, Joining, TextPiece } from '@shoal/contracts';
import { pack } from './codec.js';
import type { ChunkLock, ClaimedItem } from './engine.js';
import { EXPIRED, TOO_LARGE } from './errors.js';
import { queueTag } from './keys.js';
import { packResults } from './records.js';
import type { RedisClient } from './redis.js';
import { queueScript } from './scripts.js';
import { readAnswer, type WriteVerdict, type Written, writePieces } from './text-log.js';

/** 1: go on; 0: the job has ended or the item is done; −1: the lock is lost. */
export type Verdict = 1 | 0 | -1;
/** −2: some items of a run were done before, by another holder of the slice. */
type RunVerdict = Verdict | -2;

/** Most runs of one script, some 5 ms of Redis: in between others have their turn. */
const MAX_RUNS = 64;
/** Least time between two job.output events of one job in the outbox. */
const OUTPUT_EVENT_PAUSE_MS = 5000;
/** A fleet that has moved to other hardware should not cut its chunks for the old one for ever. */
const FORGET_HARDWARE_SECONDS = 7 * 24 * 3600;

export interface PublisherOptions {
  readonly redis: RedisClient;
  readonly queue: string;
  readonly maxResultBytes: number;
}

export interface Finished {
  readonly item: ClaimedItem;
  /** Left out: a retryable failure, to be counted and tried again. */
  readonly result?: ItemResult;
  /** Tokens of its answer that were made, where it is generated from; left out, those that were written. */
  readonly used?: number;
}

/** Neighbouring items of one slice: what scripts mark, store and check at once. `at` are their places in the batch. */
interface Run {
  readonly items: ClaimedItem[];
  readonly at: number[];
}

const beginScript = queueScript<Verdict[]>('begin.lua');
const limitsScript = queueScript<null>('limits.lua');
const unbeginScript = queueScript<Verdict[]>('unbegin.lua');
const publishScript = queueScript<RunVerdict[]>('publish.lua');

export class Publisher {
  readonly #options: PublisherOptions;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /**
   * Before a forward pass: one verdict per item; those with 1 count a strike if they are never published. `reached`: how far in
   * the fair order the worker has come; left out, to the last of the items.
   */
  async begin(
    items: readonly ClaimedItem[],
    reached = Math.max(...items.map(({ lock }) => lock.tag)),
  ): Promise<Verdict[]> {
    const { redis, queue } = this.#options;
    const runs = findRuns(items, () => true);
    const verdicts = await inTurns(runs, (some) =>
      beginScript(redis, queue, [pack({ ...columnsOf(some), reached }), EXPIRED]),
    );
    return spread(runs, verdicts, items.length);
  }

  /** Items that began and go on elsewhere, or later, before they had got on far enough: they have not ended this process. */
  async unbegin(items: readonly ClaimedItem[]): Promise<void> {
    const { redis, queue } = this.#options;
    const runs = findRuns(items, () => true);
    await inTurns(runs, (some) => unbeginScript(redis, queue, [pack(columnsOf(some))]));
  }

  /** After a forward pass: stores results, ends jobs and announces them; one verdict per item. */
  async publish(finished: readonly Finished[]): Promise<Verdict[]> {
    const items = finished.map(({ item }) => item);
    const retry = finished.map(({ result }) => result === undefined);
    const alike = (a: number, b: number) => retry[a] === retry[b] && items[a]!.attempts === items[b]!.attempts;
    const runs = findRuns(items, alike);
    const verdicts = await inTurns(runs, (some) => this.#publishRuns(some, finished));
    const torn = runs.filter((_, r) => verdicts[r] === -2);
    if (torn.length === 0) return spread(runs, verdicts as Verdict[], items.length);
    const singles = torn.flatMap((run) => run.items.map((item, i): Run => ({ items: [item], at: [run.at[i]!] })));
    const whole = runs.filter((_, r) => verdicts[r] !== -2);
    const published = await inTurns(singles, (some) => this.#publishRuns(some, finished));
    const all = [...verdicts.filter((verdict) => verdict !== -2), ...published];
    return spread([...whole, ...singles], all as Verdict[], items.length);
  }

  /**
   * After a step of a generator: adds to what is known of answers; one verdict per piece, all of a step in one script. A piece
   * begins where the log of its item ends; one that is there already is skipped.
   */
  write(pieces: readonly Written[]): Promise<WriteVerdict[]> {
    const { redis, queue } = this.#options;
    return writePieces(redis, queue, pieces);
  }

  /** What was written of the item's answer when it was claimed, in order. */
  written({ ulid, n }: ClaimedItem): Promise<TextPiece[]> {
    const { redis, queue } = this.#options;
    return readAnswer(redis, queue, ulid, n);
  }

  async #publishRuns(runs: readonly Run[], finished: readonly Finished[]): Promise<RunVerdict[]> {
    const { redis, queue, maxResultBytes } = this.#options;
    const results = runs.map(({ at }) => at.flatMap((place) => finished[place]!.result ?? []));
    const failed = results.map((run) => (run.length === 0 ? -1 : run.filter(({ error }) => error).length));
    const used = runs.map(({ at }) => finished[at[0]!]!.used ?? -1);
    const attempts = runs.map(({ items }) => items[0]!.attempts);
    const { chunks, runs: columns } = columnsOf(runs);
    const control = pack({
      chunks,
      runs: { ...columns, used, attempts, failed },
      maxBytes: maxResultBytes,
      outputPauseMs: OUTPUT_EVENT_PAUSE_MS,
    });
    const blobs = results.map((run) => (run.length === 0 ? '' : packResults(run)));
    return publishScript(redis, queue, [control, TOO_LARGE, ...blobs]);
  }

  /**
   * Tells the API what a micro-batch of this model holds on hardware of this kind: chunks are cut to fit the kind that holds
   * the least, whoever started last.
   */
  async announceLimits(hardware: string, batchTokens: number): Promise<void> {
    const { redis, queue } = this.#options;
    await limitsScript(redis, queue, [hardware, batchTokens, FORGET_HARDWARE_SECONDS]);
  }

  /** Tells the API what was proved of the model's rows here, for its card. */
  async announceJoining(joining: Joining): Promise<void> {
    const limits = `${queueTag(this.#options.queue)}:limits`;
    await this.#options.redis.hset(limits, { joining: JSON.stringify(joining) });
  }
}

/** Rows of neighbours: the same slice, consecutive numbers, and alike. */
function findRuns(items: readonly ClaimedItem[], alike: (a: number, b: number) => boolean): Run[] {
  const places = items.map((_, place) => place);
  places.sort((a, b) => {
    const [x, y] = [items[a]!, items[b]!];
    if (x.ulid !== y.ulid) return x.ulid < y.ulid ? -1 : 1;
    return x.n - y.n;
  });
  const runs: Run[] = [];
  for (const place of places) {
    const item = items[place]!;
    const run = runs.at(-1);
    const last = run?.items.at(-1);
    const next =
      last && last.ulid === item.ulid && last.slice === item.slice && last.lock === item.lock && last.n + 1 === item.n;
    if (run && next && alike(run.at[0]!, place)) {
      run.items.push(item);
      run.at.push(place);
    } else {
      runs.push({ items: [item], at: [place] });
    }
  }
  return runs;
}

/** A script for so many runs after the other: were they sent together, Redis would run them without a break. */
async function inTurns<Reply>(
  runs: readonly Run[],
  call: (some: readonly Run[]) => Promise<Reply[]>,
): Promise<Reply[]> {
  const replies: Reply[] = [];
  for (let from = 0; from < runs.length; from += MAX_RUNS) {
    for (const reply of await call(runs.slice(from, from + MAX_RUNS))) replies.push(reply);
  }
  return replies;
}

function spread(runs: readonly Run[], verdicts: readonly Verdict[], length: number): Verdict[] {
  const out: Verdict[] = new Array(length);
  runs.forEach(({ at }, r) => {
    for (const place of at) out[place] = verdicts[r]!;
  });
  return out;
}

/** As lua/begin.lua and lua/publish.lua read them: a list per field; `chunk` counts the chunks from 1. */
function columnsOf(runs: readonly Run[]) {
  const numbers = new Map<ChunkLock, number>();
  const columns = {
    chunk: [] as number[],
    job: [] as string[],
    slice: [] as number[],
    first: [] as number[],
    last: [] as number[],
  };
  for (const { items } of runs) {
    const { lock, ulid, slice, n } = items[0]!;
    if (!numbers.has(lock)) numbers.set(lock, numbers.size + 1);
    columns.chunk.push(numbers.get(lock)!);
    columns.job.push(ulid);
    columns.slice.push(slice);
    columns.first.push(n);
    columns.last.push(items.at(-1)!.n);
  }
  const locks = [...numbers.keys()];
  const chunks = {
    id: locks.map(({ id }) => id),
    token: locks.map(({ token }) => token),
  };
  return { chunks, runs: columns };
}
