import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { MAX_BODY_BYTES, MAX_BODY_DEPTH } from '@shoal/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../testing/start.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.close());

async function refusal(body: string | Buffer, headers: Record<string, string> = {}) {
  const response = await fetch(`${api.url}/v1/jobs`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
  return { status: response.status, code: ((await response.json()) as { code: string }).code };
}

const job = (input: string) => JSON.stringify({ model: 'embed', input, parameters: { truncate: true } });

describe('a body is refused', () => {
  test.each([
    ['that is empty', '', 400, 'malformed_body'],
    ['that ends early', '{"model":', 400, 'malformed_body'],
    ['that is not JSON', 'model=embed', 400, 'malformed_body'],
    ['that is not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 400, 'malformed_body'],
    ['with __proto__', '{"model":"embed","input":"a","metadata":{"__proto__":{}}}', 400, 'malformed_body'],
    ['with constructor.prototype', '{"model":"embed","constructor":{"prototype":{}}}', 400, 'malformed_body'],
    ['that is nested too deeply', '['.repeat(MAX_BODY_DEPTH + 1), 400, 'body_too_deep'],
    ['that is too large', job('a'.repeat(MAX_BODY_BYTES)), 413, 'body_too_large'],
  ])('%s', async (_, body, status, code) => {
    expect(await refusal(body)).toEqual({ status, code });
  });

  test('of another type', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'nonsense',
    ]) {
      expect(await refusal(job('a'), { 'content-type': type }), type).toEqual({
        status: 415,
        code: 'unsupported_media_type',
      });
    }
  });

  test('that is compressed', async () => {
    expect(await refusal(gzipSync(job('a')), { 'content-encoding': 'gzip' })).toEqual({
      status: 415,
      code: 'unsupported_media_type',
    });
  });

  test('in chunks, as soon as it is too large', async () => {
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
    const head = 'POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
    socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n`);
    const answered = new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))));
    socket.on('error', () => {});
    const chunk = `10000\r\n${'a'.repeat(0x10000)}\r\n`;
    for (let sent = 0; sent <= MAX_BODY_BYTES; sent += 0x10000) socket.write(chunk);
    expect(await answered).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
  });
});

test('a body of 2 MB with 100 levels is taken', async () => {
  const filled = job('a '.repeat((MAX_BODY_BYTES - job('').length) / 2 - 4));
  expect((await api.request('POST', '/v1/jobs', filled)).status).toBe(202);
  const nested = `${'['.repeat(MAX_BODY_DEPTH)}${']'.repeat(MAX_BODY_DEPTH)}`;
  expect((await api.request('POST', '/v1/jobs', nested)).status).toBe(422);
});

test('no refusal quotes the body', async () => {
  const response = await api.request('POST', '/v1/jobs', '{"model": canary}');
  expect(await response.text()).not.toContain('canary');
  expect(api.logged.join()).not.toContain('canary');
});
