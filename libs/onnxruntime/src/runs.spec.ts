import { expect, it } from 'vitest';
import { doubling, floats, nested, powers, zeros } from './testing/graphs.js';
import { collectGarbage, memoryGrowth } from './testing/memory.js';
import { describeRuntimes, rejection } from './testing/runtimes.js';

describeRuntimes('runs', ({ load }, kind) => {
  it('timers fire while a long run is in flight', async () => {
    const session = await load(powers(60));
    let fired = 0;
    const timer = setInterval(() => fired++, 1);
    await session.run({ x: zeros(512) });
    clearInterval(timer);
    expect(fired).toBeGreaterThan(10);
  });

  it('an aborted run rejects with the reason, and the session goes on', async () => {
    const session = await load(powers(200));
    const reason = new Error('no longer wanted');
    const controller = new AbortController();
    const run = rejection(session.run({ x: zeros(512) }, { signal: controller.signal }));
    setTimeout(() => controller.abort(reason), 20);
    expect(await run).toBe(reason);
    // The worker thread ends the aborted run first; it is not worth waiting for here.
    if (kind === 'c-api') expect((await session.run({ x: zeros(2) })).y?.dims).toEqual([2, 2]);
  });

  it('a run whose signal has fired already does not start', async () => {
    const session = await load(doubling());
    const reason = new Error('never wanted');
    expect(await rejection(session.run({ x: floats(1) }, { signal: AbortSignal.abort(reason) }))).toBe(reason);
  });

  it('a signal that outlives its runs has no effect on them', async () => {
    const session = await load(doubling());
    const controller = new AbortController();
    const { signal } = controller;
    for (let i = 0; i < 20; i++) expect((await session.run({ x: floats(i) }, { signal })).y).toEqual(floats(2 * i));
    controller.abort();
  });

  it('runs overlap without mixing their values', async () => {
    const session = await load(doubling());
    const runs = Array.from({ length: 600 }, (_, i) => session.run({ x: floats(i, -i) }));
    const results = await Promise.all(runs);
    results.forEach(({ y, z }, i) => {
      expect(y).toEqual(floats(2 * i, -2 * i));
      expect(z).toEqual(floats(4 * i, -4 * i));
    });
  });

  it('sessions of one process do not know each other', async () => {
    const [a, b] = await Promise.all([load(doubling()), load(powers(2), { intraOpThreads: 2, spinning: true })]);
    const square = { type: 'float32', dims: [1, 1], data: Float32Array.of(3) } as const;
    const [first, second] = await Promise.all([a.run({ x: floats(3) }), b.run({ x: square })]);
    expect(first.z).toEqual(floats(12));
    expect(second.y?.data).toEqual(Float32Array.of(27));
  });

  it('branches within branches have room on the stack', async () => {
    const session = await load(nested(28));
    const deeper = { type: 'bool', dims: [], data: Uint8Array.of(1) } as const;
    expect((await session.run({ x: floats(7), deeper })).y28).toEqual(floats(7));
  });

  it('memory in use survives the garbage collector', async () => {
    const session = await load(doubling());
    for (let round = 0; round < 20; round++) {
      const runs = Array.from({ length: 10 }, (_, i) => session.run({ x: floats(i, i + 1) }));
      collectGarbage();
      for (const [i, { z }] of (await Promise.all(runs)).entries()) expect(z).toEqual(floats(4 * i, 4 * i + 4));
    }
  });

  it('20,000 runs leave nothing behind', async () => {
    const session = await load(doubling());
    const { signal } = new AbortController();
    const x = floats(...new Array<number>(500).fill(1));
    const growth = await memoryGrowth(10_000, (i) => session.run({ x }, i % 4 === 0 ? { signal } : {}));
    expect(growth).toBeLessThan(12);
  });

  it('failed runs leave nothing behind', async () => {
    const session = await load(doubling());
    const x = floats(...new Array<number>(500).fill(1));
    const growth = await memoryGrowth(4_000, () => rejection(session.run({ x }, { preallocated: { z: floats(0) } })));
    expect(growth).toBeLessThan(12);
  });
});

describeRuntimes('release', ({ load }) => {
  it('is refused to nobody who asks twice', async () => {
    const session = await load(doubling());
    await Promise.all([session.release(), session.release()]);
    await session.release();
  });

  it('waits for runs in flight, then refuses new ones', async () => {
    const session = await load(powers(30));
    let ran = false;
    const run = session.run({ x: zeros(256) }).then(() => {
      ran = true;
    });
    const released = session.release();
    expect(await rejection(session.run({ x: zeros(1) }))).toMatchObject({ code: 'internal_error' });
    expect(() => session.bind()).toThrow('released');
    await released;
    expect(ran).toBe(true);
    await run;
  });
});
