import { afterEach, beforeEach, expect, it } from 'vitest';
import { doubling, floats, identity, powers, zeros } from '../testing/graphs.js';
import { rejection } from '../testing/runtimes.js';
import type { Session } from '../types.js';
import { decodeApi, type OrtApi, type Releasable, type StatusFunction } from './api.js';
import { openLibrary } from './library.js';
import { loadSession } from './session.js';
import type { Native } from './values.js';

/** What functions that return by their last parameter create. */
const CREATED: Partial<Record<StatusFunction, Releasable>> = {
  CreateSessionOptions: 'SessionOptions',
  SessionGetInputTypeInfo: 'TypeInfo',
  SessionGetOutputTypeInfo: 'TypeInfo',
  SessionGetModelMetadata: 'ModelMetadata',
  CreateTensorAsOrtValue: 'Value',
  CreateTensorWithDataAsOrtValue: 'Value',
  GetTensorTypeAndShape: 'TensorTypeAndShapeInfo',
  CreateRunOptions: 'RunOptions',
  CreateIoBinding: 'IoBinding',
  CreateMemoryInfo: 'MemoryInfo',
};

const api = decodeApi(openLibrary());
const native: Native = {
  api: counting(api),
  env: api.get('CreateEnv', 4, 'test'),
  allocator: api.get('GetAllocatorWithDefaultOptions'),
  cpu: api.get('CreateCpuMemoryInfo', 1, 0),
};
const alive = new Map<Releasable, number>();
const count = (kind: Releasable, change: number) => alive.set(kind, (alive.get(kind) ?? 0) + change);

function counting(inner: OrtApi): OrtApi {
  return {
    ...inner,
    get(name, ...args) {
      const pointer = inner.get(name, ...args);
      if (CREATED[name] !== undefined) count(CREATED[name], 1);
      return pointer;
    },
    async callAsync(name, ...args) {
      await inner.callAsync(name, ...args);
      if (name === 'CreateSession' || name === 'CreateSessionFromArray') count('Session', 1);
    },
    release(kind, pointer) {
      if (pointer !== 0n) count(kind, -1);
      inner.release(kind, pointer);
    },
    releaseAsync(kind, pointer) {
      count(kind, -1);
      return inner.releaseAsync(kind, pointer);
    },
  };
}

let session: Session;
beforeEach(async () => {
  alive.clear();
  session = await loadSession(native, doubling(), {}, ['cpu']);
});

/** Values that ONNX Runtime made itself are released as well: each test says how many those are. */
let outputs = 0;
afterEach(async () => {
  await session.release();
  const left = [...alive].filter(([, number]) => number !== 0);
  expect(left).toEqual(outputs === 0 ? [] : [['Value', -outputs]]);
  outputs = 0;
});

it('runs release their values and infos', async () => {
  for (let i = 0; i < 3; i++) await session.run({ x: floats(i) });
  await session.run({ x: floats(1) }, { preallocated: { z: floats(0) }, signal: new AbortController().signal });
  outputs = 3 * 2 + 1;
});

it('failed, refused and aborted runs release everything', async () => {
  await rejection(session.run({ x: floats(1) }, { preallocated: { z: floats(0, 0) } }));
  await rejection(session.run({ x: zeros(1) }));
  await rejection(session.run({ x: floats(1) }, { signal: AbortSignal.abort() }));
  const long = await loadSession(native, powers(200), {}, ['cpu']);
  const controller = new AbortController();
  const run = rejection(long.run({ x: zeros(256) }, { signal: controller.signal }));
  controller.abort();
  await run;
  await long.release();
});

it('bindings release what they read, and themselves', async () => {
  const binding = session.bind();
  binding.bindInput('x', floats(1));
  binding.bindOutput('y', 'cpu');
  binding.bindOutput('z', floats(0));
  await binding.run();
  binding.feedBack('y', 'x');
  await binding.run();
  // Two bound outputs are read after each run, and once to feed one back.
  outputs = 2 * 3;
});

it('models that cannot be loaded leave no session options', async () => {
  await rejection(loadSession(native, new Uint8Array(3), {}, ['cpu']));
  await rejection(loadSession(native, identity('float32'), { device: 'cuda' }, ['cpu']));
});
