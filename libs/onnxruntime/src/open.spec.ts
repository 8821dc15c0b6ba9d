import { afterEach, expect, it, vi } from 'vitest';
import { openRuntime } from './open.js';

afterEach(() => {
  vi.doUnmock('koffi');
  vi.doUnmock('./c-api/runtime.js');
  vi.resetModules();
});

it('the C API is used where it works, without a word', async () => {
  const log = vi.fn();
  const runtime = await openRuntime({ log });
  expect(runtime).toMatchObject({ kind: 'c-api', version: '1.30.0' });
  expect(log).not.toHaveBeenCalled();
});

it('a worker thread stands in where koffi cannot be loaded, and one line says why', async () => {
  vi.doMock('koffi', () => {
    throw new Error('no binary for this platform');
  });
  const log = vi.fn<(message: string) => void>();
  const runtime = await openRuntime({ log });
  expect(runtime).toMatchObject({ kind: 'worker-thread', version: '1.30.0' });
  expect(log).toHaveBeenCalledTimes(1);
});

it('a worker thread stands in where the C API fails the self-test', async () => {
  const { openWorkerThread } = await import('./worker-thread/runtime.js');
  const other = await openWorkerThread();
  vi.doMock('./c-api/runtime.js', () => ({
    openCApi: () => ({ ...other, createSession: async () => brokenSession }),
  }));
  const brokenSession = {
    run: async () => ({}),
    release: async () => {},
  };
  const log = vi.fn<(message: string) => void>();
  expect(await openRuntime({ log })).toMatchObject({ kind: 'worker-thread' });
  expect(log).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('a run blocked the event loop'));
});

it('the worker thread is used where it is preferred', async () => {
  expect(await openRuntime({ prefer: 'worker-thread' })).toMatchObject({ kind: 'worker-thread' });
});
