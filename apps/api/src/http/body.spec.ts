import { once } from 'node:events';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { MAX_BODY_BYTES, MAX_BODY_DEPTH } from '@shoal/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestApi, type TestApi } from '../testing/start.js';
import { digestOf } from './tenant.js';

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
    ['of too many objects', `[${'{},'.repeat(50_000)}{}]`, 413, 'body_too_large'],
    ['of too many arrays', `[${'[],'.repeat(300_000)}[]]`, 413, 'body_too_large'],
    ['of too many fields', `{${'"a":1,'.repeat(50_000)}"a":1}`, 413, 'body_too_large'],
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

  test('in an encoding other than gzip, naming what is taken', async () => {
    const response = await api.request('POST', '/v1/jobs', job('a'), { 'content-encoding': 'br' });
    expect([response.status, await response.text()]).toEqual([415, expect.stringContaining('gzip or identity')]);
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

describe('a compressed body', () => {
  const gzip = { 'content-encoding': 'gzip' };

  test('is taken as gzip, also in chunks, and uncompressed as identity', async () => {
    const headers = { 'content-type': 'application/json' };
    const send = (body: Buffer, encoding: string) =>
      fetch(`${api.url}/v1/jobs`, { method: 'POST', body, headers: { ...headers, 'content-encoding': encoding } });
    expect((await send(gzipSync(job('a b')), 'gzip')).status).toBe(202);
    expect((await send(gzipSync(job('a b')), 'GZIP')).status).toBe(202);
    expect((await send(Buffer.from(job('a b')), 'identity')).status).toBe(202);
    expect(await sendPieces(gzipSync(job('a b')), 'Content-Encoding: gzip\r\n')).toMatch(/^HTTP\/1\.1 202 /);
  });

  test('that holds more than may be sent is refused before it is unpacked', async () => {
    expect(await refusal(gzipSync(Buffer.alloc(MAX_BODY_BYTES + 1, 0x20)), gzip)).toEqual({
      status: 413,
      code: 'body_too_large',
    });
  });

  test('that lies about its size, ends early or is none is refused', async () => {
    const bomb = gzipSync(Buffer.alloc(MAX_BODY_BYTES, 0x20));
    bomb.writeUInt32LE(10, bomb.length - 4);
    const whole = gzipSync(job('a'));
    const two = Buffer.concat([gzipSync(' '.repeat(1000)), whole]);
    for (const body of [bomb, whole.subarray(0, -9), whole.subarray(0, 4), Buffer.from(job('a')), two]) {
      const { status, code } = await refusal(body, gzip);
      expect([400, 413]).toContain(status);
      expect(['malformed_body', 'body_too_large']).toContain(code);
    }
  });
});

describe('a client that is still sending', () => {
  const many = Buffer.alloc(4 * MAX_BODY_BYTES, 0x61);
  const head = (length: string, more = '') =>
    `POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${more}${length}\r\n\r\n`;

  test.each([
    ['with its length', 'close'],
    ['with its length', 'keep-alive'],
    ['in chunks', 'close'],
    ['in chunks', 'keep-alive'],
  ])('is told that its body is too large: %s, connection %s', async (how, connection) => {
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
    const failures: Error[] = [];
    socket.on('error', (error) => failures.push(error));
    const [length, body] =
      how === 'in chunks'
        ? ['Transfer-Encoding: chunked', Buffer.concat([Buffer.from(`${many.length.toString(16)}\r\n`), many])]
        : [`Content-Length: ${many.length}`, many];
    socket.write(head(length, `Connection: ${connection}\r\n`));
    // Everything is sent before anything is read, as Python's urllib does.
    await new Promise<void>((resolve) => socket.write(body, () => resolve()));
    if (how === 'in chunks') socket.write('\r\n0\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(String(answer)).toMatch(/^HTTP\/1\.1 413 /);
    expect(failures).toEqual([]);
    socket.destroy();
  });

  test('is told that its key is wrong', async () => {
    const keyed = await startTestApi({ keys: [{ tenant: { name: 'a', weight: 1 }, digest: digestOf('key') }] });
    const socket = connect(Number(new URL(keyed.url).port), '127.0.0.1');
    const failures: Error[] = [];
    socket.on('error', (error) => failures.push(error));
    socket.write(head(`Content-Length: ${many.length}`, 'Connection: close\r\n'));
    await new Promise<void>((resolve) => socket.write(many, () => resolve()));
    expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1\.1 401 /);
    expect(failures).toEqual([]);
    socket.destroy();
    await keyed.close();
  });
});

test('the limit is the server’s', async () => {
  const large = await startTestApi({ maxBodyBytes: 3 * MAX_BODY_BYTES });
  const long = job('a '.repeat(MAX_BODY_BYTES));
  expect((await large.request('POST', '/v1/jobs', long)).status).toBe(202);
  const refused = await large.request('POST', '/v1/jobs', job('a'.repeat(3 * MAX_BODY_BYTES)));
  expect(await refused.text()).toContain(String(3 * MAX_BODY_BYTES));
  await large.close();
});

/** One answer to a body that comes byte by byte, in chunks. */
async function sendPieces(body: Buffer, headers: string): Promise<string> {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  const head = 'POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
  socket.write(`${head}${headers}Transfer-Encoding: chunked\r\n\r\n`);
  for (const byte of body) socket.write(Buffer.concat([Buffer.from('1\r\n'), Buffer.of(byte), Buffer.from('\r\n')]));
  socket.write('0\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return String(answer);
}

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
