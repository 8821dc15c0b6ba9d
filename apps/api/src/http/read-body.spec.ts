import { connect, type Socket } from 'node:net';
import type * as zlib from 'node:zlib';
import { gunzip, gzipSync } from 'node:zlib';
import { expect, onTestFinished, test, vi } from 'vitest';
import { startTestApi } from '../testing/start.js';
import { Permit } from './permit.js';

vi.mock('node:zlib', async (original) => {
  const real = await original<typeof zlib>();
  return { ...real, gunzip: vi.fn(real.gunzip) };
});

const BODY_BYTES = 64 * 1024;
/** So that one more than ALL is too much, whatever the packed bytes are. */
const PADDED_BYTES = 63 * 1024;
/** Bodies of about full size that a tenant may have at once while it is alone. */
const ALL = 8;
const job = JSON.stringify({ model: 'embed', input: 'small fish' });
const packed = gzipSync(job.padEnd(PADDED_BYTES));

test('a body whose sender hangs up before its turn is never unpacked', async () => {
  const unpacked = vi.mocked(gunzip);
  const real = unpacked.getMockImplementation()!;
  let unpackFirst = () => {};
  unpacked.mockImplementationOnce((...args) => {
    unpackFirst = () => real(...args);
  });
  const parsing = vi.spyOn(Permit.prototype, 'startWork');
  const release = vi.spyOn(Permit.prototype, 'release');
  const api = await startTestApi({ maxBodyBytes: BODY_BYTES });
  onTestFinished(() => api.close());
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  const send = async () => (await fetch(`${api.url}/v1/jobs`, { method: 'POST', headers, body: packed })).status;

  const first = send();
  await expect.poll(() => unpacked.mock.calls.length).toBe(1);
  const sockets = Array.from({ length: ALL - 1 }, () => sendRaw(api.url));
  await expect.poll(() => parsing.mock.calls.length).toBe(ALL);
  // They wait packed, and hold as much as a tenant may.
  expect(await send()).toBe(429);
  await expect.poll(() => release.mock.calls.length).toBe(1);
  for (const socket of sockets) socket.destroy();
  await expect.poll(() => release.mock.calls.length).toBe(ALL);
  expect(unpacked).toHaveBeenCalledTimes(1);

  unpackFirst();
  expect(await first).toBe(202);
  await expect.poll(() => release.mock.calls.length).toBe(ALL + 1);
  // Everything was given back, and those that had gone were before these in the line.
  expect(await Promise.all(Array.from({ length: ALL }, send))).toEqual(Array(ALL).fill(202));
  expect(unpacked).toHaveBeenCalledTimes(1 + ALL);
});

test('a body that is no gzip is told so, not that it is too large', async () => {
  const api = await startTestApi();
  onTestFinished(() => api.close());
  const response = await api.request('POST', '/v1/jobs', job, { 'content-encoding': 'gzip' });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ code: 'malformed_body', detail: expect.stringContaining('gzip') });
});

function sendRaw(url: string): Socket {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  const head = 'POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
  socket.write(`${head}Content-Encoding: gzip\r\nContent-Length: ${packed.length}\r\n\r\n`);
  socket.write(packed);
  return socket;
}
