import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { WireOutput } from '@shoal/contracts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../testing/start.js';

let api: TestApi;
const sockets: Socket[] = [];
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await api.close();
});

/** An ended job whose result is some 16 MB of JSON. */
async function largeJob(): Promise<string> {
  const body = { model: 'embed', input: ['a', 'b'] };
  const { id } = (await (await api.request('POST', '/v1/jobs', body)).json()) as { id: string };
  const record = await api.store.get('default', id);
  const output: WireOutput = { kind: 'vector', values: new Float32Array(2_000_000).fill(0.5), dims: [2_000_000] };
  for (const result of record.results) Object.assign(result!, { output });
  return id;
}

/** Asks for a job and reads nothing. */
function askOnly(id: string): Socket {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  socket.on('error', () => undefined).pause();
  socket.write(`GET /v1/jobs/${id} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  sockets.push(socket);
  return socket;
}

test('a large result is streamed whole', async () => {
  const response = await api.request('GET', `/v1/jobs/${await largeJob()}`);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json; charset=utf-8']);
  expect(response.headers.get('content-length')).toBeNull();
  const { output, status } = (await response.json()) as { output: number[][]; status: string };
  expect([status, output.length, output[1]!.length, output[1]![1_999_999]]).toEqual(['completed', 2, 2_000_000, 0.5]);
});

test('a small one is an answer of known length', async () => {
  const body = { model: 'embed', input: ['a', 'b'] };
  const { id } = (await (await api.request('POST', '/v1/jobs', body)).json()) as { id: string };
  const response = await api.request('GET', `/v1/jobs/${id}`);
  expect(Number(response.headers.get('content-length'))).toBe((await response.text()).length);
});

test('a tenant has a few large results under way; the next ones wait for those, and go on when a reader hangs up', async () => {
  const id = await largeJob();
  const stalled = [askOnly(id), askOnly(id)];
  await Promise.all(stalled.map((socket) => once(socket, 'readable')));
  let answered = false;
  const next = api.request('GET', `/v1/jobs/${id}`).then((response) => {
    answered = true;
    return response.json();
  });
  // Small ones do not wait.
  const small = await api.request('POST', '/v1/jobs?wait=1', { model: 'embed', input: 'a' });
  expect([small.status, answered]).toEqual([200, false]);
  stalled[0]!.destroy();
  expect(await next).toMatchObject({ status: 'completed' });
  expect(api.logged).toEqual([]);
});
