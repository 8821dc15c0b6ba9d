import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { type Model, NO_ALIASES } from '@shoal/models';
import type { BoardState, ProcessModels, QueueWork, Wish } from '@shoal/queue';
import { createLogger } from '@shoal/telemetry';
import { expect, onTestFinished, test } from 'vitest';
import { type LoadedWorker, ServedModels, type ServedModelsOptions } from './served-models.js';

const model = (name: string, version = '1') =>
  ({
    ...{ name, version, variant: 'fp32', folder: '.', variants: { fp32: 'nowhere' }, inputs: [], generator: null },
    queue: `${name}.${version}.fp32.0`,
  }) as unknown as Model;

/** Resolved by whoever has it. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

interface Behaviour {
  /** What loading it waits for, or throws. */
  load?: () => Promise<void>;
  start?: () => Promise<void>;
  stop?: () => Promise<void>;
}

function open(models: readonly Model[], options: Partial<ServedModelsOptions> = {}) {
  const clock = { now: 0 };
  const lines: string[] = [];
  const events: string[] = [];
  const told: ProcessModels[] = [];
  const behaviours = new Map<Model, Behaviour>();
  const busy = new Set<string>();
  const state = { wishes: new Map<string, Wish>(), marks: new Map<string, string>(), processes: [] };
  const board = {
    state: state as BoardState,
    exchange: async (own: ProcessModels) => {
      told.push(own);
      return board.state;
    },
    work: async (queues: readonly string[]) =>
      new Map<string, QueueWork>(queues.map((queue) => [queue, { jobs: Number(busy.has(queue)), tokens: 0 }])),
  };
  const failing = new Set<string>();
  const served = new ServedModels({
    ...{ names: [], board, memory: Number.POSITIVE_INFINITY, keepMs: 1000, resident: () => 0, now: () => clock.now },
    load: async (own) => {
      const { load, start, stop } = behaviours.get(own) ?? {};
      await load?.();
      events.push(`load ${own.name}`);
      const worker: LoadedWorker = {
        ...{ name: own.name, connected: true, heldBytes: 0, reservedBytes: 0 },
        start: async () => await start?.(),
        stop: async () => {
          await stop?.();
          events.push(`unload ${own.name}`);
        },
        reportColdStart: async () => {},
      };
      return worker;
    },
    logger: createLogger({ name: 'worker', destination: { write: (line) => void lines.push(line) } }),
    metrics: {
      modelLoadFailures: {
        set: (labels: { model: string }) => failing.add(labels.model),
        remove: (labels: { model: string }) => failing.delete(labels.model),
      },
    } as unknown as ServedModelsOptions['metrics'],
    ...options,
  });
  onTestFinished(() => served.stop());
  const repository = (all: readonly Model[]) => ({ models: all, aliases: NO_ALIASES, problems: [] });
  return {
    ...{ served, clock, lines, events, told, behaviours, busy, state, failing },
    start: () => served.start(repository(models)),
    follow: (...all: Model[]) => served.follow(repository(all)),
  };
}

const [A, B] = [model('a'), model('b')];
const failed = async () => {
  throw new ShoalError('device_failed', 'no memory');
};

test('a model that did not load is told of, and tried again when some time has gone by', async () => {
  const { start, served, behaviours, clock, told, failing } = open([A, B]);
  behaviours.set(A, { load: failed });
  await start();
  expect([served.names, [...failing]]).toEqual([['b'], ['a']]);
  expect(served.notes).toEqual(['a/1/fp32 is not served: it does not load']);
  await expect
    .poll(() => told.at(-1))
    .toEqual({
      ...{ role: 'worker', queues: [B.queue] },
      failed: [{ queue: A.queue, reason: 'no memory', lasting: false }],
    });
  behaviours.delete(A);
  clock.now = 10_000;
  await expect.poll(() => served.names.sort()).toEqual(['a', 'b']);
  await expect.poll(() => [...failing]).toEqual([]);
  await expect.poll(() => told.at(-1)).toEqual({ role: 'worker', queues: [B.queue, A.queue], failed: [] });
});

test('it is tried again at once for each wish that it be loaded, be it the same as before', async () => {
  const { start, served, behaviours, state } = open([A, B]);
  let tries = 0;
  behaviours.set(A, {
    load: async () => {
      tries++;
      if (tries < 3) await failed();
    },
  });
  state.wishes.set('a', 'load');
  state.marks = new Map([['a', 'first']]);
  await start();
  expect(tries).toBe(1);
  Object.assign(state, { marks: new Map([['a', 'second']]) });
  await expect.poll(() => tries).toBe(2);
  Object.assign(state, { marks: new Map([['a', 'third']]) });
  await expect.poll(() => served.names.sort()).toEqual(['a', 'b']);
});

test('a variant that an API would give jobs to is loaded for that, and goes like any that has had no work', async () => {
  const other = { ...A, variant: 'int8', queue: 'a.1.int8.0' };
  const { start, told, state, clock } = open([A, other]);
  await start();
  const api: ProcessModels = { role: 'api', queues: [A.queue, other.queue] };
  Object.assign(state, { processes: [{ ...api, wanted: [other.queue] }] });
  await expect.poll(() => told.at(-1)?.queues).toEqual([A.queue, other.queue]);
  Object.assign(state, { processes: [api] });
  clock.now = 1000;
  await expect.poll(() => told.at(-1)?.queues).toEqual([A.queue]);
});

test('where none of what there is loads, the start fails with the reason; where there is nothing, it does not', async () => {
  const { start, behaviours } = open([A]);
  behaviours.set(A, { load: failed });
  await expect(start()).rejects.toThrow('no memory');
  const empty = open([]);
  await empty.start();
  await empty.follow(A);
  await expect.poll(() => empty.served.names).toEqual(['a']);
});

test('what was measured of a model anew leaves it loaded, and files that have changed do not', async () => {
  const { start, follow, served, events, clock } = open([A]);
  await start();
  await follow({ ...A, quality: { method: 'int8' } as Model['quality'] });
  clock.now = 10_000;
  await follow({ ...A, quality: null });
  await follow({ ...A, quality: null }, B);
  await expect.poll(() => served.names).toEqual(['a', 'b']);
  expect(events).toEqual(['load a', 'load b']);
  await follow({ ...A, variants: { ...A.variants } }, B);
  await expect.poll(() => events).toEqual(['load a', 'load b', 'unload a', 'load a']);
});

test('a start ends, however long loads that fail take', async () => {
  const { start, served, behaviours, clock, lines } = open([A, B, model('c')]);
  const slow = async () => {
    clock.now += 20_000;
    await failed();
  };
  behaviours.set(A, { load: slow });
  behaviours.set(B, { load: slow });
  await start();
  expect(served.names).toEqual(['c']);
  expect(lines.filter((line) => line.includes('model.load_failed'))).toHaveLength(2);
});

test('a model that drains is told of as held until that has ended, and others are loaded meanwhile', async () => {
  const { start, served, follow, behaviours, clock, told, events, busy } = open([A]);
  const drained = gate();
  behaviours.set(A, { stop: () => drained.opened });
  await start();
  await follow(B);
  const later = () => {
    clock.now += 1000;
    return served.names;
  };
  await expect.poll(later).toEqual(['b']);
  expect(events).toEqual(['load a', 'load b']);
  await expect.poll(() => told.at(-1)?.queues).toEqual([B.queue, A.queue]);
  // It is there again, and is not loaded beside itself.
  await follow(A, B);
  busy.add(A.queue);
  const tellings = told.length;
  await expect.poll(() => told.length).toBeGreaterThan(tellings + 1);
  expect(events).toEqual(['load a', 'load b']);
  drained.open();
  await expect.poll(() => events).toEqual(['load a', 'load b', 'unload a', 'load a']);
});

test('while a model loads, others are unloaded', async () => {
  const { start, follow, behaviours, clock, events } = open([A]);
  const loaded = gate();
  onTestFinished(loaded.open);
  behaviours.set(B, { load: () => loaded.opened });
  await start();
  await follow(B);
  const later = () => {
    clock.now += 1000;
    return events;
  };
  await expect.poll(later).toEqual(['load a', 'unload a']);
});

test('a model whose worker does not start leaves, and nothing that has its place by then', async () => {
  const { start, served, follow, behaviours, lines, events } = open([A]);
  const begun = gate();
  await start();
  behaviours.set(B, {
    start: async () => {
      await begun.opened;
      await failed();
    },
  });
  await follow(A, B);
  await expect.poll(() => served.names).toEqual(['a', 'b']);
  const changed = model('b');
  await follow(A, changed);
  await expect.poll(() => events).toEqual(['load a', 'load b', 'unload b', 'load b']);
  begun.open();
  await expect.poll(() => lines.join('')).toContain('model.load_failed');
  expect([served.names, events.length, served.notes]).toEqual([['a', 'b'], 4, []]);
  // One that still is what its folder holds goes, and is told of.
  const third = model('b');
  behaviours.set(third, { start: failed });
  await follow(A, third);
  await expect.poll(() => [served.names, served.notes]).toEqual([['a'], ['b/1/fp32 is not served: it does not load']]);
  expect(events.at(-1)).toBe('unload b');
});

test('what is kept for caches is taken, and their growth is not charged to what is loaded meanwhile', async () => {
  const memory = 400 * 2 ** 20;
  const process = { resident: 0 };
  const rooms: Record<string, number> = {};
  const held = { bytes: 0 };
  const { start, follow } = open([A], {
    memory,
    resident: () => process.resident,
    load: async (own, { bytes }) => {
      rooms[own.name] = bytes / 2 ** 20;
      if (own === B) {
        held.bytes += 50 * 2 ** 20;
        process.resident += 50 * 2 ** 20;
      }
      process.resident += 20 * 2 ** 20;
      return {
        ...{ name: own.name, connected: true, reservedBytes: own === A ? 200 * 2 ** 20 : 0 },
        get heldBytes() {
          return own === A ? held.bytes : 0;
        },
        start: async () => {},
        stop: async () => {},
        reportColdStart: async () => {},
      };
    },
  });
  await start();
  await follow(A, B);
  await expect.poll(() => rooms).toEqual({ a: 400, b: 180 });
  await follow(A, B, model('c'));
  await expect.poll(() => rooms).toEqual({ a: 400, b: 180, c: 160 });
});

test('a model whose folder is removed while it is loaded is none that failed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-gone-'));
  const going = { ...model('going'), folder } as Model;
  const { start, follow, served, behaviours, lines, failing } = open([going, B]);
  behaviours.set(going, {
    load: async () => {
      rmSync(folder, { recursive: true });
      throw new Error('ENOENT');
    },
  });
  await start();
  expect(lines.join('')).toContain('model.gone');
  await follow(B);
  expect([served.names, [...failing]]).toEqual([['b'], []]);
  expect(lines.join('')).not.toContain('model.load_failed');
});

test('a model that is too large by itself is not tried again, and says how large it is', async () => {
  const large = { ...model('large'), variants: { fp32: 'models/wordnet-topic/1/onnx/model.onnx' } } as Model;
  const { start, served, state, lines, clock, events } = open([large, B], { memory: 1000 });
  await start();
  expect(served.notes).toHaveLength(1);
  expect(lines.join('')).toMatch(/it takes \d+ MiB, and SHOAL_MODEL_MEMORY is 1 MiB/);
  Object.assign(state, { wishes: new Map([['large', 'load']]), marks: new Map([['large', 'x']]) });
  clock.now = 1e9;
  const failures = () => lines.filter((line) => line.includes('model.load_failed')).length;
  const before = events.length;
  await expect.poll(() => served.names).toEqual(['b']);
  expect([failures(), events.length]).toEqual([1, before]);
});
