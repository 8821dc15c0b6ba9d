import { describe, expect, it } from 'vitest';
import type { Clock } from './clock.js';
import { type Batch, MicroBatcher, NotStarted } from './micro-batcher.js';
import type { BatchLimits, Candidate } from './policy.js';
import { RunGate } from './run-gate.js';

const limits: BatchLimits = { maxBatchSize: 4, maxBatchTokens: 1000, maxDelayMs: 5, passTokens: 10_000 };
const candidate = (order: number, more: Partial<Candidate> = {}): Candidate => {
  return { length: 10, order, group: '', alone: false, ...more };
};

/** Time stands still until the test moves it. */
class ManualClock implements Clock {
  #now = 0;
  #timers: { at: number; callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  advance(ms: number): void {
    this.#now += ms;
    const due = this.#timers.filter(({ at }) => at <= this.#now);
    this.#timers = this.#timers.filter(({ at }) => at > this.#now);
    for (const { callback } of due) callback();
  }
}

interface Started {
  readonly batch: Batch<string, string>;
  readonly end: () => void;
}

function openGate(places: number): RunGate {
  return new RunGate({ places, clock: new ManualClock() });
}

function harness(gate = openGate(1)) {
  const clock = new ManualClock();
  const started: Started[] = [];
  const batcher = new MicroBatcher<string, string>({ limits, gate, clock });
  const run = async () => {
    for (let batch = await batcher.next(); batch; batch = await batcher.next()) {
      const { leave, settle, items } = batch;
      const end = () => {
        leave();
        settle(items.map(({ value }) => `${value}!`));
      };
      started.push({ batch, end });
    }
  };
  const ended = run();
  const values = (n: number) => started[n]?.batch.items.map(({ value }) => value);
  return { clock, started, batcher, values, ended };
}

/** Lets everything that is ready happen. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('MicroBatcher', () => {
  it('starts at once on an idle device, with all that arrived in the same turn', async () => {
    const { batcher, started, values } = harness();
    void batcher.add('a', candidate(1));
    void batcher.add('b', candidate(2));
    await settle();
    expect(values(0)).toEqual(['a', 'b']);
    expect(started[0]?.batch.closedBy).toBe('idle');
  });

  it('forms the next batch while one runs, and starts it when the device is free', async () => {
    const { batcher, started, values } = harness();
    void batcher.add('a', candidate(1));
    await settle();
    for (const [n, value] of ['b', 'c', 'd', 'e', 'f'].entries()) void batcher.add(value, candidate(2 + n));
    await settle();
    expect(started).toHaveLength(1);
    started[0]?.batch.leave();
    await settle();
    expect(values(1)).toHaveLength(4);
    expect(started[1]?.batch.closedBy).toBe('size');
    expect(started).toHaveLength(2);
  });

  it('starts the next batch before the results of the last are written', async () => {
    const { batcher, started } = harness();
    const first = batcher.add('a', candidate(1));
    await settle();
    void batcher.add('b', candidate(2));
    started[0]?.batch.leave();
    await settle();
    expect(started).toHaveLength(2);
    started[0]?.end();
    expect(await first).toBe('a!');
  });

  it('starts beside a running batch only when it is full or its first item has waited long enough', async () => {
    const { batcher, started, clock } = harness(openGate(2));
    void batcher.add('a', candidate(1));
    await settle();
    clock.advance(1);
    void batcher.add('b', candidate(2));
    await settle();
    clock.advance(4);
    await settle();
    expect(started).toHaveLength(1);
    clock.advance(1);
    await settle();
    expect(started).toHaveLength(2);
    expect(started[1]?.batch.closedBy).toBe('delay');
    expect(started[1]?.batch.items[0]?.waitedMs).toBe(5);
  });

  it('gives each item its own outcome', async () => {
    const { batcher, started } = harness();
    const outcomes = Promise.all([batcher.add('a', candidate(1)), batcher.add('b', candidate(2))]);
    await settle();
    started[0]?.end();
    expect(await outcomes).toEqual(['a!', 'b!']);
  });

  it('never runs an item whose signal was aborted while it waited', async () => {
    const { batcher, started, values } = harness();
    void batcher.add('a', candidate(1));
    await settle();
    const cancelled = new AbortController();
    const dropped = batcher.add('b', candidate(2), cancelled.signal);
    void batcher.add('c', candidate(3));
    cancelled.abort();
    started[0]?.end();
    await expect(dropped).rejects.toBeInstanceOf(NotStarted);
    await settle();
    expect(values(1)).toEqual(['c']);
  });

  it('takes back what waits when it drains, and lets what runs end', async () => {
    const { batcher, started, ended } = harness();
    const running = batcher.add('a', candidate(1));
    await settle();
    const waiting = batcher.add('b', candidate(2));
    batcher.drain();
    await expect(waiting).rejects.toBeInstanceOf(NotStarted);
    await expect(batcher.add('c', candidate(3))).rejects.toBeInstanceOf(NotStarted);
    started[0]?.end();
    expect(await running).toBe('a!');
    await ended;
  });

  it('runs a suspect with nothing else in flight in the process, also not of other models', async () => {
    const gate = openGate(8);
    const [one, other] = [harness(gate), harness(gate)];
    void one.batcher.add('a', candidate(1));
    await settle();
    void other.batcher.add('suspect', candidate(1, { alone: true }));
    await settle();
    expect(other.started).toHaveLength(0);
    one.started[0]?.end();
    await settle();
    expect(other.started).toHaveLength(1);
    void one.batcher.add('b', candidate(2));
    await settle();
    expect(one.started).toHaveLength(1);
    other.started[0]?.end();
    await settle();
    expect(one.started).toHaveLength(2);
  });

  it('rejects the items of a batch that is given up, and goes on', async () => {
    const { batcher, started } = harness();
    const given = batcher.add('a', candidate(1));
    await settle();
    started[0]?.batch.fail(new Error('gone'));
    started[0]?.batch.leave();
    await expect(given).rejects.toThrow('gone');
    const next = batcher.add('b', candidate(2));
    await settle();
    started[1]?.end();
    expect(await next).toBe('b!');
  });

  it('decides what is in a batch when it has its place: until then it grows, also with what goes first', async () => {
    const gate = openGate(1);
    const [one, other] = [harness(gate), harness(gate)];
    void one.batcher.add('a', candidate(1));
    await settle();
    void other.batcher.add('late', candidate(9));
    await settle();
    void other.batcher.add('first', candidate(2));
    const suspect = other.batcher.add('suspect', candidate(1, { alone: true }));
    one.started[0]?.end();
    await settle();
    expect(other.values(0)).toEqual(['suspect']);
    other.started[0]?.end();
    expect(await suspect).toBe('suspect!');
    await settle();
    expect(other.values(1)?.toSorted()).toEqual(['first', 'late']);
  });
});
