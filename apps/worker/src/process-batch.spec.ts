import { ShoalError, type WireOutput } from '@shoal/contracts';
import type { ModelRunner, Row } from '@shoal/models';
import { type ClaimedItem, Dropped, type Finished, type Publisher, type Verdict } from '@shoal/queue';
import { describe, expect, it } from 'vitest';
import type { BatchRun } from './batch-run.js';
import { processBatch } from './process-batch.js';

function claimed(n: number, more: Partial<ClaimedItem> = {}): ClaimedItem {
  return {
    jobId: `m.1.fp32.0.${n}`,
    tenant: 'default',
    ulid: String(n),
    slice: 0,
    n,
    lock: { id: 'c', token: 't', tag: 0 },
    item: { kind: 'text', ids: Uint32Array.of(n) },
    length: 1,
    task: 'text-classification',
    parameters: {},
    strikes: 0,
    attempts: 0,
    written: 0,
    rank: 2,
    queuedMs: 0,
    dropped: new Dropped(),
    ...more,
  };
}

const output = (n: number): WireOutput => ({ kind: 'score', score: n });
const idOf = ({ item }: Row) => (item.kind === 'text' ? item.ids[0]! : -1);

interface Script {
  readonly items: readonly ClaimedItem[];
  readonly run?: (rows: readonly Row[]) => Promise<(WireOutput | Error)[]>;
  readonly verdicts?: readonly Verdict[];
}

async function process({ items, run, verdicts }: Script) {
  const published: Finished[] = [];
  const passes: number[] = [];
  const runs: BatchRun[] = [];
  const events: string[] = [];
  const publisher: Pick<Publisher, 'begin' | 'publish'> = {
    begin: async () => [...(verdicts ?? items.map(() => 1 as const))],
    publish: async (finished) => {
      events.push('published');
      published.push(...finished);
      return finished.map(() => 1);
    },
  };
  const runner: Pick<ModelRunner, 'run'> = {
    run: async (rows) => {
      passes.push(rows.length);
      return run ? run(rows) : rows.map((row) => output(idOf(row)));
    },
  };
  const batch = {
    closedBy: 'size' as const,
    reached: 0,
    items: items.map((value) => ({ value, length: 1, waitedMs: 3 })),
    leave: () => {
      events.push('place left');
      return 0.25;
    },
  };
  const rated: number[] = [];
  const outcomes = await processBatch(batch, {
    runner: runner as ModelRunner,
    publisher: publisher as Publisher,
    random: () => 0.5,
    now: () => 0,
    rate: { add: (_lengths, seconds) => void rated.push(seconds) },
    reporter: { holds: () => undefined, ran: (ran) => void runs.push(ran), published: () => undefined },
  });
  return { outcomes, published, passes, runs, events, rated };
}

const many = (count: number) => Array.from({ length: count }, (_, n) => claimed(n));

describe('processBatch', () => {
  it('publishes each item its own output, with what ran it', async () => {
    const { published, outcomes, runs } = await process({ items: many(3) });
    expect(published.map(({ result }) => result?.output)).toEqual([output(0), output(1), output(2)]);
    expect(published[0]?.result?.receipt).toMatchObject({
      batchSize: 3,
      closedBy: 'size',
      batchingMs: 3,
      attempts: 1,
    });
    expect(outcomes).toEqual([{ kind: 'done' }, { kind: 'done' }, { kind: 'done' }]);
    expect(runs).toHaveLength(1);
    expect(runs[0]).toMatchObject({ lengths: [1, 1, 1], errors: [undefined, undefined, undefined] });
  });

  it('gives 63 results and one error where one of 64 makes every pass fail that it is in', async () => {
    const { published } = await process({
      items: many(64),
      run: async (rows) => {
        if (rows.some((row) => idOf(row) === 13)) throw new Error('bad input');
        return rows.map((row) => output(idOf(row)));
      },
    });
    const failed = published.filter(({ result }) => result?.error);
    expect(failed.map(({ item }) => item.n)).toEqual([13]);
    expect(failed[0]?.result?.error).toMatchObject({ code: 'inference_failed', retryable: false });
    expect(published.filter(({ result }) => result?.output)).toHaveLength(63);
  });

  it('lets the next batch start before the results are written', async () => {
    const { events } = await process({ items: many(1) });
    expect(events).toEqual(['place left', 'published']);
  });

  it('counts what it did for the rate of this replica, but not where a pass failed', async () => {
    expect((await process({ items: many(2) })).rated).toEqual([0.25]);
    const failing = async () => [new Error('bad input')];
    expect((await process({ items: many(1), run: failing })).rated).toEqual([]);
  });

  it('runs nothing whose job has ended or whose lock is lost', async () => {
    const { passes, published } = await process({ items: many(3), verdicts: [0, 1, -1] });
    expect(passes).toEqual([1]);
    expect(published.map(({ item }) => item.n)).toEqual([1]);
  });

  it('does not touch the device where nothing is left to run', async () => {
    const { passes, published } = await process({ items: many(2), verdicts: [0, 0] });
    expect(passes).toEqual([]);
    expect(published).toEqual([]);
  });

  it('tries a failure of the device again later, without splitting, and gives up after three attempts', async () => {
    const run = async () => {
      throw new ShoalError('device_failed', 'lost');
    };
    const first = await process({ items: many(4), run });
    expect(first.passes).toEqual([4]);
    expect(first.outcomes[0]).toEqual({ kind: 'retry', afterMs: 1100 });
    expect(first.published.every(({ result }) => result === undefined)).toBe(true);
    const last = await process({ items: [claimed(0, { attempts: 2 })], run });
    expect(last.outcomes[0]).toEqual({ kind: 'done' });
    expect(last.published[0]?.result?.error).toMatchObject({ code: 'device_failed', retryable: true });
  });

  it('gives up on an item that has ended three processes, without running it', async () => {
    const { passes, published } = await process({ items: [claimed(0, { strikes: 3 })] });
    expect(passes).toEqual([]);
    expect(published[0]?.result?.error).toMatchObject({ code: 'worker_crashed' });
  });
});
