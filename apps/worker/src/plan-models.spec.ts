import type { Model } from '@shoal/models';
import { describe, expect, test } from 'vitest';
import { type LoadedModel, planModels, type Situation } from './plan-models.js';

const model = (name: string, version = '1', variant = 'fp32') =>
  ({ name, version, variant, queue: `${name}.${version}.${variant}.0`, generator: null }) as unknown as Model;

const [A2, A2_INT8, A1, B] = [model('a', '2'), model('a', '2', 'int8'), model('a'), model('b')];
const ALL = [A2, A2_INT8, A1, B];

const loadedOf = (...models: (Model | readonly [Model, Partial<LoadedModel>])[]) =>
  new Map(
    models.map((entry) => {
      const [own, changes] = 'queue' in entry ? [entry, {}] : entry;
      return [own.queue, { model: own, bytes: 10, loadedMs: 60_000, idleMs: 0, unwantedMs: 0, ...changes }] as const;
    }),
  );

const plan = (changes: Partial<Situation>) =>
  planModels({
    ...{ models: ALL, aliases: new Map(), wishes: new Map(), loaded: new Map(), busy: new Set(), failed: new Set() },
    ...{ loading: undefined, leaving: new Map(), hopedFor: new Set(), due: new Set() },
    ...{ limit: Number.POSITIVE_INFINITY, bytesOf: () => 10, keepMs: 1000 },
    ...changes,
  });
const busy = (...models: Model[]) => new Set(models.map(({ queue }) => queue));

describe('without a bound', () => {
  test('what a name alone or an alias stands for is loaded, and nothing that nobody asks for', () => {
    expect(plan({}).load).toBe(A2);
    expect(plan({ loaded: loadedOf(A2) }).load).toBe(B);
    expect(plan({ loaded: loadedOf(A2, B) })).toEqual({ unload: [], load: undefined });
    const aliases = new Map([['prod', [{ target: 'a@1', weight: 1 }]]]);
    expect(plan({ aliases, loaded: loadedOf(A2, B) }).load).toBe(A1);
  });

  test('what a job asks for is loaded before all else', () => {
    expect(plan({ busy: busy(A1) }).load).toBe(A1);
  });

  test('a model that did not load leaves its name to the version before', () => {
    expect(plan({ failed: new Set([A2, A2_INT8]) }).load).toBe(A1);
  });

  test('one that did not load is tried again though nobody asks for it, where none has to go for that', () => {
    const [failed, due, loaded] = [new Set([A1]), new Set([A1]), loadedOf(A2, B)];
    expect(plan({ failed, loaded }).load).toBeUndefined();
    expect(plan({ failed, due, loaded }).load).toBe(A1);
    expect(plan({ failed, due, loaded, wishes: new Map([['a@1', 'unload']] as const) }).load).toBeUndefined();
    const full = loadedOf(A2, [A2_INT8, { idleMs: 500 }], B);
    expect(plan({ failed, due, loaded: full, limit: 30 })).toEqual({ unload: [], load: undefined });
    expect(plan({ failed, due, loaded: full, limit: 30, busy: busy(A1) }).unload).toEqual([A2_INT8.queue]);
  });

  test('a model that only single jobs ask for goes when it was idle for long enough', () => {
    expect(plan({ loaded: loadedOf(A2, B, [A1, { idleMs: 999 }]) }).unload).toEqual([]);
    expect(plan({ loaded: loadedOf(A2, B, [A1, { idleMs: 1000 }]) }).unload).toEqual([A1.queue]);
    expect(plan({ loaded: loadedOf(A2, B, [A1, { idleMs: 1000 }]), busy: busy(A1) }).unload).toEqual([]);
  });

  test('one whose folder has gone, or that is to be unloaded, goes when its queue is empty', () => {
    const idle = { idleMs: 3000, unwantedMs: 3000 };
    const gone = { models: [A2, A2_INT8, A1], loaded: loadedOf(A2, [B, idle]) };
    expect(plan({ ...gone, busy: busy(B) }).unload).toEqual([]);
    expect(plan(gone).unload).toEqual([B.queue]);
    // Others may not know of it yet.
    for (const changes of [{ idleMs: 2999 }, { unwantedMs: 2999 }]) {
      expect(plan({ ...gone, loaded: loadedOf(A2, [B, { ...idle, ...changes }]) }).unload).toEqual([]);
    }
    const unwanted = { wishes: new Map([['b', 'unload']] as const), loaded: loadedOf(A2, [B, idle]) };
    expect(plan({ ...unwanted, busy: busy(B) }).unload).toEqual([]);
    expect(plan(unwanted).unload).toEqual([B.queue]);
    // What was accepted before the wish was heard of everywhere.
    expect(plan({ ...unwanted, loaded: loadedOf(A2), busy: busy(B) }).load).toBe(B);
    expect(plan({ ...unwanted, loaded: loadedOf(A2) }).load).toBeUndefined();
  });

  test('while one is loaded no other is, and those that are to go do', () => {
    const loaded = loadedOf([A1, { idleMs: 1000 }]);
    expect(plan({ loading: A2 })).toEqual({ unload: [], load: undefined });
    expect(plan({ loading: A2, loaded })).toEqual({ unload: [A1.queue], load: undefined });
  });

  test('one that is being unloaded is not loaded again before that has ended', () => {
    expect(plan({ leaving: new Map([[A2.queue, 10]]), busy: busy(A2) }).load).toBe(B);
  });

  test('one that did not load is tried again when it is due, after all others; what has its name stays meanwhile', () => {
    const [failed, due] = [new Set([A2, A2_INT8]), new Set([A2])];
    expect(plan({ failed, due }).load).toBe(A1);
    expect(plan({ failed, due, busy: busy(A2), loaded: loadedOf(A1) }).load).toBe(B);
    const loaded = loadedOf([A1, { idleMs: 10_000 }], B);
    expect(plan({ failed, due, loaded })).toEqual({ unload: [], load: A2 });
    expect(plan({ failed, loaded })).toEqual({ unload: [], load: undefined });
  });

  test('a variant that an API would give jobs to is loaded after what is expected, unless it was to be unloaded', () => {
    const hopedFor = busy(A2_INT8);
    expect(plan({ hopedFor, loaded: loadedOf(A2) }).load).toBe(B);
    expect(plan({ hopedFor, loaded: loadedOf(A2, B) }).load).toBe(A2_INT8);
    expect(plan({ hopedFor, loaded: loadedOf(A2, B), failed: new Set([A2_INT8]) }).load).toBeUndefined();
    const wishes = new Map([['a:int8', 'unload']] as const);
    expect(plan({ hopedFor, loaded: loadedOf(A2, B), wishes }).load).toBeUndefined();
  });

  test('one whose files are others now is loaded anew', () => {
    expect(plan({ loaded: loadedOf(model('b')), busy: busy(B) }).unload).toEqual([B.queue]);
  });
});

describe('with a bound', () => {
  test('the least recently used makes way for what a job asks for, those that nobody expects first', () => {
    const loaded = loadedOf([A2, { idleMs: 900 }], [A2_INT8, { idleMs: 100 }]);
    expect(plan({ limit: 20, loaded, busy: busy(B) })).toEqual({ unload: [A2_INT8.queue], load: undefined });
    expect(
      plan({ limit: 20, loaded: loadedOf([A2, { idleMs: 9 }], [B, { idleMs: 8 }]), busy: busy(A1) }).unload,
    ).toEqual([A2.queue]);
  });

  test('nobody makes way for what is only expected, but who is not', () => {
    expect(plan({ limit: 10, loaded: loadedOf(A2) })).toEqual({ unload: [], load: undefined });
    expect(plan({ limit: 10, loaded: loadedOf([A1, { idleMs: 9 }]) }).unload).toEqual([A1.queue]);
  });

  test('a variant that an API would give jobs to takes nobody’s place that is expected or has work', () => {
    const hopedFor = busy(A2_INT8);
    expect(plan({ limit: 20, hopedFor, loaded: loadedOf(A2, B) })).toEqual({ unload: [], load: undefined });
    expect(plan({ limit: 30, hopedFor, loaded: loadedOf(A2, B, A1), busy: busy(A1) }).unload).toEqual([]);
    expect(plan({ limit: 30, hopedFor, loaded: loadedOf(A2, B, [A1, { idleMs: 9 }]) }).unload).toEqual([A1.queue]);
  });

  test('models with work take turns of ten seconds', () => {
    const other = (loadedMs: number) =>
      plan({ limit: 10, loaded: loadedOf([A2, { loadedMs }]), busy: busy(A2, B) }).unload;
    expect([other(9999), other(10_000)]).toEqual([[], [A2.queue]]);
  });

  test('one whose folder has gone makes way for nobody: its jobs could not be run any more', () => {
    const situation = { models: [B], limit: 10, loaded: loadedOf(A2) };
    expect(plan({ ...situation, busy: busy(A2, B) }).unload).toEqual([]);
    expect(plan({ ...situation, models: [B, A2], busy: busy(A2, B) }).unload).toEqual([A2.queue]);
  });

  test('nobody else goes where what is being unloaded makes the room', () => {
    const leaving = new Map([[A1.queue, 10]]);
    expect(plan({ limit: 20, leaving, loaded: loadedOf(A2), busy: busy(B) })).toEqual({
      ...{ unload: [], load: undefined },
    });
    expect(plan({ limit: 30, leaving, loaded: loadedOf(A2), busy: busy(B) }).load).toBe(B);
  });

  test('where more is taken than may be, those without work go, least recently used first, but not the last one', () => {
    const three = loadedOf([A2, { idleMs: 9 }], [A1, { idleMs: 8 }], [B, { idleMs: 7 }]);
    const wishes = new Map([['a@1', 'load']] as const);
    expect(plan({ wishes, limit: 30, loaded: three }).unload).toEqual([]);
    expect(plan({ wishes, limit: 29, loaded: three }).unload).toEqual([A2.queue]);
    expect(plan({ wishes, limit: 29, loaded: three, busy: busy(A2) }).unload).toEqual([A1.queue]);
    expect(plan({ wishes, limit: 1, loaded: three }).unload).toEqual([A2.queue, A1.queue]);
    expect(plan({ wishes, limit: 1, loaded: three, busy: busy(A2, A1, B) }).unload).toEqual([]);
  });

  test('for what has no room with all others gone nobody goes; whoever loads it tells why', () => {
    const bytesOf = (own: Model) => (own === B ? 30 : 10);
    const situation = { limit: 20, bytesOf, loaded: loadedOf(A2), busy: busy(B) };
    expect(plan(situation)).toEqual({ unload: [], load: B });
    expect(plan({ ...situation, failed: new Set([B]) })).toEqual({ unload: [], load: undefined });
  });
});
