import { ShoalError } from '@shoal/contracts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../testing/start.js';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api.close());

const ask = async (path: string) => {
  const response = await api.request('GET', path);
  return [response.status, await response.json()];
};

test('the process is healthy and ready', async () => {
  expect(await ask('/healthz')).toEqual([200, { status: 'ok' }]);
  expect(await ask('/readyz')).toEqual([200, { status: 'ready' }]);
});

test('without Redis the process is healthy and not ready', async () => {
  api.store.failure = new ShoalError('redis_unavailable', 'away');
  expect(await ask('/healthz')).toEqual([200, { status: 'ok' }]);
  expect(await ask('/readyz')).toEqual([503, { status: 'not ready', reason: 'away' }]);
});
