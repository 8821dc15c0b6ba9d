import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import OpenAI, { toFile } from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { digestOf } from '../http/tenant.js';
import { startTestApi, type TestApi } from '../testing/start.js';

let api: TestApi;
afterEach(() => api.close());

async function start(options: Parameters<typeof startTestApi>[0] = {}, apiKey = 'key'): Promise<OpenAI> {
  api = await startTestApi(options);
  return new OpenAI({ baseURL: `${api.url}/v1`, apiKey, maxRetries: 0 });
}

const LINES = '{"custom_id":"a"}\n{"custom_id":"b"}\n';
const upload = (client: OpenAI, text: string | Buffer = LINES, name = 'requests.jsonl') =>
  toFile(Buffer.from(text), name).then((file) => client.files.create({ file, purpose: 'batch' }));

type Part = readonly [name: string, value: string, filename?: string];
/** A form as it is on the wire, so that the order of its parts and their faults are a test's own. */
function formOf(...parts: readonly Part[]): { readonly body: Buffer; readonly type: string } {
  const texts = parts.map(([name, value, filename]) => {
    const file = filename === undefined ? '' : `; filename="${filename}"`;
    return `--frontier\r\ncontent-disposition: form-data; name="${name}"${file}\r\n\r\n${value}\r\n`;
  });
  return { body: Buffer.from(`${texts.join('')}--frontier--\r\n`), type: 'multipart/form-data; boundary=frontier' };
}

function send(form: ReturnType<typeof formOf>, headers: Record<string, string> = {}): Promise<Response> {
  const { body, type } = form;
  return fetch(`${api.url}/v1/files`, {
    method: 'POST',
    body: new Uint8Array(body),
    headers: { 'content-type': type, ...headers },
  });
}

const FILE: Part = ['file', LINES, 'requests.jsonl'];
const PURPOSE: Part = ['purpose', 'batch'];

/** Whatever was begun is given up, and the store has nothing that no record tells of. */
async function expectNothingLeft(): Promise<void> {
  await expect.poll(() => api.files.all.size).toBe(0);
  for (const key of api.blobs.blobs.keys()) expect(api.files.garbage).toContain(key.split('/')[1]);
}

describe('through the openai client', () => {
  test('a file is uploaded from a buffer and from a stream, read, listed and deleted', async () => {
    const client = await start();
    const file = await upload(client);
    expect(file).toEqual({
      ...{ id: expect.stringMatching(/^file-/), object: 'file', bytes: LINES.length, created_at: expect.any(Number) },
      ...{
        expires_at: file.created_at + 30 * 24 * 3600,
        filename: 'requests.jsonl',
        purpose: 'batch',
        status: 'processed',
      },
    });
    expect(await client.files.retrieve(file.id)).toEqual(file);
    expect(await (await client.files.content(file.id)).text()).toBe(LINES);

    const folder = await mkdtemp(join(tmpdir(), 'shoal-files-'));
    const large = LINES.repeat(10_000);
    await writeFile(join(folder, 'große Datei.jsonl'), large);
    const stream = createReadStream(join(folder, 'große Datei.jsonl'));
    const second = await client.files.create({
      ...{ file: stream, purpose: 'batch' },
      expires_after: { anchor: 'created_at', seconds: 3600 },
    });
    await rm(folder, { recursive: true });
    expect(second).toMatchObject({ filename: 'große Datei.jsonl', bytes: large.length });
    expect(second.expires_at).toBe(second.created_at + 3600);
    expect(await (await client.files.content(second.id)).text()).toBe(large);

    const seen: string[] = [];
    for await (const { id } of client.files.list({ limit: 1 })) seen.push(id);
    expect(seen).toEqual([second.id, file.id]);
    expect((await client.files.list({ order: 'asc' })).data.map(({ id }) => id)).toEqual([file.id, second.id]);
    expect((await client.files.list({ purpose: 'batch_output' })).data).toEqual([]);
    expect(await client.files.delete(file.id)).toEqual({ id: file.id, object: 'file', deleted: true });
    await expect(client.files.retrieve(file.id)).rejects.toThrow(OpenAI.NotFoundError);
    await expect(client.files.content(file.id)).rejects.toThrow(OpenAI.NotFoundError);
    await expect(client.files.delete(file.id)).rejects.toMatchObject({ code: 'file_not_found' });
  });

  test('a list of many files is whole', async () => {
    const client = await start();
    for (let n = 0; n < 450; n++) {
      const name = await api.files.begin('default', { purpose: 'batch', filename: `${n}.jsonl`, reservedBytes: 0 });
      await api.files.finish(name, {});
    }
    const page = await client.files.list();
    expect(page.data).toHaveLength(450);
    expect(page.has_more).toBe(false);
    let count = 0;
    for await (const _ of client.files.list({ limit: 200 })) count += 1;
    expect(count).toBe(450);
  });

  test.each<[string, (client: OpenAI) => Promise<unknown>, string, RegExp]>([
    [
      'a file that is no .jsonl',
      (c) => upload(c, LINES, 'requests.txt'),
      'file',
      /^400 Invalid file format for Batch API. Must be .jsonl$/,
    ],
    [
      'another purpose',
      async (c) => c.files.create({ file: await toFile(Buffer.from(LINES), 'a.jsonl'), purpose: 'assistants' }),
      'purpose',
      /must be batch/,
    ],
    [
      'an expiry that is too short',
      async (c) =>
        c.files.create({
          file: await toFile(Buffer.from(LINES), 'a.jsonl'),
          purpose: 'batch',
          expires_after: { anchor: 'created_at', seconds: 60 },
        }),
      'expires_after.seconds',
      /3600 to 2592000/,
    ],
    ['a limit that is none', async (c) => c.files.list({ limit: 10_001 }), 'limit', /1 to 10000/],
    ['a purpose that nobody has', async (c) => c.files.list({ purpose: 'bach' }), 'purpose', /must be one of batch/],
    ['a place that is no file', async (c) => c.files.list({ after: 'x' }), 'after', /the id of a file/],
  ])('%s is refused', async (_, call, param, message) => {
    const client = await start();
    const error = await call(client).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error).toMatchObject({ param, code: 'invalid_request', message: expect.stringMatching(message) });
    expect(api.files.ready).toEqual([]);
    await expectNothingLeft();
  });
});

describe('a form', () => {
  test.each<[string, Part[]]>([
    ['before it', [PURPOSE, ['expires_after[anchor]', 'created_at'], ['expires_after[seconds]', '3600'], FILE]],
    ['after it', [FILE, ['expires_after[seconds]', '3600'], ['expires_after[anchor]', 'created_at'], PURPOSE]],
    ['around it', [['expires_after[anchor]', 'created_at'], FILE, PURPOSE, ['expires_after[seconds]', '3600']]],
  ])('may have its fields %s', async (_, parts) => {
    await start();
    const response = await send(formOf(...parts));
    expect(response.status).toBe(200);
    const file = (await response.json()) as { created_at: number; expires_at: number; bytes: number };
    expect(file).toMatchObject({ bytes: LINES.length, expires_at: file.created_at + 3600 });
  });

  test.each<[string, Part[], string]>([
    ['no file', [PURPOSE], 'file'],
    ['no purpose', [FILE], 'purpose'],
    ['two files', [PURPOSE, FILE, FILE], 'file'],
    ['two purposes', [PURPOSE, PURPOSE, FILE], 'purpose'],
    ['a file that is only a field', [PURPOSE, ['file', LINES]], 'file'],
    ['a file without a name', [PURPOSE, ['file', LINES, '']], 'file'],
    ['a file of another name', [PURPOSE, ['data', LINES, 'requests.jsonl']], 'data'],
    ['a field that nobody knows', [PURPOSE, ['colour', 'blue'], FILE], 'colour'],
    ['a field that nobody knows, after it', [PURPOSE, FILE, ['__proto__', 'blue']], '__proto__'],
    ['half of an expiry', [PURPOSE, ['expires_after[seconds]', '3600'], FILE], 'expires_after.anchor'],
    [
      'an expiry that is no number',
      [PURPOSE, ['expires_after[anchor]', 'created_at'], ['expires_after[seconds]', 'x'], FILE],
      'expires_after.seconds',
    ],
    ['a field that is too long', [['purpose', 'x'.repeat(2000)], FILE], 'purpose'],
    ['a name that is too long', [PURPOSE, ['file', LINES, `${'x'.repeat(300)}.jsonl`]], 'file'],
  ])('with %s is refused, and leaves nothing', async (_, parts, param) => {
    await start();
    const response = await send(formOf(...parts));
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param, code: 'invalid_request' } });
    await expectNothingLeft();
  });

  test('that ends early, or is none, is refused', async () => {
    await start();
    const { body, type } = formOf(PURPOSE, FILE);
    for (const cut of [0, 20, body.length - 20]) {
      const response = await send({ body: body.subarray(0, cut), type });
      expect(response.status, String(cut)).toBe(400);
      expect(await response.json()).toMatchObject({ error: { code: 'malformed_body' } });
    }
    expect((await send({ body, type: 'multipart/form-data' })).status).toBe(400);
    expect((await send({ body, type: 'application/json' })).status).toBe(415);
    expect((await send({ body, type }, { 'content-encoding': 'gzip' })).status).toBe(415);
    expect((await api.request('POST', '/v1/files')).status).toBe(415);
    await expectNothingLeft();
  });

  test('with more fields than there are is refused', async () => {
    await start();
    const many = Array.from({ length: 30 }, (_, n): Part => [`f${n}`, 'x']);
    expect((await send(formOf(...many, FILE))).status).toBe(400);
    await expectNothingLeft();
  });
});

describe('an upload', () => {
  test('may have so many bytes and so many lines, and is told the settings', async () => {
    await start({ uploads: { bytes: 1000, lines: 10 } });
    const fits = await send(formOf(PURPOSE, ['file', `${'x\n'.repeat(9)}x`, 'a.jsonl']));
    expect(fits.status).toBe(200);
    const lines = await send(formOf(PURPOSE, ['file', `${'x\n'.repeat(10)}x`, 'a.jsonl']));
    expect(lines.status).toBe(400);
    expect(await lines.text()).toContain('SHOAL_FILE_MAX_LINES');
    for (const size of [1001, 1_000_000]) {
      const bytes = await send(formOf(PURPOSE, ['file', 'x'.repeat(size), 'a.jsonl']));
      expect(bytes.status).toBe(413);
      expect(await bytes.text()).toContain('SHOAL_FILE_MAX_BYTES');
    }
    expect(api.files.all.size).toBe(1);
  });

  test('is refused where its tenant has as much as it may', async () => {
    const client = await start();
    api.files.quotas = { files: 1, bytes: 1e9 };
    await upload(client);
    const error = await upload(client).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      status: 409,
      code: 'limit_reached',
      message: expect.stringContaining('SHOAL_TENANT_MAX_FILES'),
    });
    expect((error as InstanceType<typeof OpenAI.APIError>).headers?.get('x-should-retry')).toBe('false');
  });

  test('is one file however often it is repeated with an Idempotency-Key', async () => {
    await start();
    const headers = { 'idempotency-key': 'k1' };
    const [first, again] = [await send(formOf(PURPOSE, FILE), headers), await send(formOf(FILE, PURPOSE), headers)];
    expect(await again.json()).toEqual(await first.json());
    expect(api.files.ready).toHaveLength(1);
    const other = await send(formOf(PURPOSE, ['file', 'other', 'requests.jsonl']), headers);
    expect(other.status).toBe(400);
    expect(await other.json()).toMatchObject({ error: { code: 'idempotency_conflict' } });
    expect((await send(formOf(PURPOSE, FILE), { 'idempotency-key': 'a b' })).status).toBe(400);
    expect(api.files.all.size).toBe(1);
  });

  test('whose client hangs up midway leaves nothing', async () => {
    await start();
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    const { body, type } = formOf(PURPOSE, ['file', LINES.repeat(1000), 'a.jsonl']);
    const head = `POST /v1/files HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\n\r\n`;
    socket.write(head);
    socket.write(body.subarray(0, body.length / 2));
    await expect.poll(() => api.files.all.size).toBe(1);
    socket.destroy();
    await expect.poll(() => api.files.all.size).toBe(0);
    expect(api.files.garbage.size).toBe(1);
    expect(api.blobs.blobs.size).toBe(0);
  });

  test('is told when the store fails, and leaves nothing', async () => {
    const client = await start();
    api.blobs.failure = new ShoalError('storage_full', 'The store is full.');
    await expect(upload(client, LINES.repeat(10_000))).rejects.toMatchObject({ status: 507, code: 'storage_full' });
    await expectNothingLeft();
  });

  test('goes no further than a tenant’s share of uploads', async () => {
    await start();
    const { hostname, port } = new URL(api.url);
    const { body, type } = formOf(PURPOSE, FILE);
    const head = `POST /v1/files HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\n\r\n`;
    const sockets = Array.from({ length: 16 }, () => connect(Number(port), hostname));
    for (const socket of sockets) socket.write(Buffer.concat([Buffer.from(head), body.subarray(0, body.length - 10)]));
    await expect.poll(() => api.files.all.size).toBe(16);
    const response = await send(formOf(PURPOSE, FILE));
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('1');
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => api.files.all.size).toBe(0);
    expect((await send(formOf(PURPOSE, FILE))).status).toBe(200);
  });
});

describe('the content of a file', () => {
  const content = (id: string, headers: Record<string, string> = {}, method = 'GET') =>
    api.request(method, `/v1/files/${id}/content`, undefined, headers);

  test('is read in ranges, over the pieces that it has', async () => {
    await start();
    const name = await api.files.begin('default', { purpose: 'batch_output', filename: 'out.jsonl', reservedBytes: 0 });
    for (const [n, text] of ['0123', '', '456', '789'].entries()) {
      api.blobs.blobs.set(`p${n}`, Buffer.from(text));
      await api.files.append(name, 0, n, { key: `p${n}`, bytes: text.length });
    }
    await api.files.finish(name, {});
    const whole = await content(name.id);
    expect([whole.status, await whole.text()]).toEqual([200, '0123456789']);
    expect(whole.headers.get('accept-ranges')).toBe('bytes');
    expect(whole.headers.get('content-length')).toBe('10');
    for (const [range, text] of [
      ['0-0', '0'],
      ['2-5', '2345'],
      ['4-6', '456'],
      ['7-', '789'],
      ['-4', '6789'],
      ['-40', '0123456789'],
      ['8-99', '89'],
    ] as const) {
      const part = await content(name.id, { range: `bytes=${range}` });
      expect([part.status, await part.text()], range).toEqual([206, text]);
      expect(part.headers.get('content-range')).toBe(
        `bytes ${'0123456789'.indexOf(text)}-${'0123456789'.indexOf(text) + text.length - 1}/10`,
      );
      expect(part.headers.get('content-length')).toBe(String(text.length));
    }
    for (const range of ['bytes=10-', 'bytes=-0', 'bytes=99-100']) {
      const none = await content(name.id, { range });
      expect(none.status, range).toBe(416);
      expect(none.headers.get('content-range')).toBe('bytes */10');
      expect(await none.json()).toMatchObject({ error: { code: 'range_not_satisfiable' } });
    }
    for (const range of ['bytes=5-2', 'bytes=0-1,3-4', 'lines=0-1', 'bytes=-', 'x']) {
      expect((await content(name.id, { range })).status, range).toBe(200);
    }
    const etag = whole.headers.get('etag')!;
    expect((await content(name.id, { range: 'bytes=1-2', 'if-range': etag })).status).toBe(206);
    expect((await content(name.id, { range: 'bytes=1-2', 'if-range': '"other"' })).status).toBe(200);
    const head = await content(name.id, {}, 'HEAD');
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '10', '']);
  });

  test('has the file’s name in its head, whatever that is', async () => {
    const client = await start();
    const { id } = await upload(client, LINES, 'a"b\\c%;é\'x.jsonl');
    const response = await content(id);
    const disposition = response.headers.get('content-disposition')!;
    expect(disposition).toMatch(/^attachment; filename="[\w .']+\.jsonl"; filename\*=UTF-8''[\w%.-]+\.jsonl$/);
    expect(decodeURIComponent(disposition.split("UTF-8''")[1]!)).toBe(api.files.ready[0]!.filename);
    await response.arrayBuffer();
  });

  test('an empty file is empty', async () => {
    const client = await start();
    const { id, bytes } = await upload(client, '');
    expect(bytes).toBe(0);
    const response = await content(id);
    expect([response.status, response.headers.get('content-length'), await response.text()]).toEqual([200, '0', '']);
    expect((await content(id, { range: 'bytes=0-' })).status).toBe(416);
  });

  test('is read from the store no faster than by its caller', async () => {
    const client = await start();
    const text = 'x'.repeat(64 * 1024 * 1024);
    const { id } = await upload(client, text);
    const response = await content(id);
    const reader = response.body!.getReader();
    await reader.read();
    await new Promise((resolve) => setImmediate(resolve));
    expect(api.blobs.taken).toBeLessThan(text.length / 2);
    await reader.cancel();
  });

  test('that the store has lost, or that it fails of, is an error and no short file', async () => {
    const client = await start();
    const { id } = await upload(client, 'x'.repeat(1_000_000));
    api.blobs.failure = new ShoalError('storage_unavailable', 'The store is away.');
    expect((await content(id, { range: 'bytes=0-9' })).status).toBe(503);
    api.blobs.failure = undefined;
    api.blobs.blobs.clear();
    const lost = await content(id, { range: 'bytes=0-9' });
    expect([lost.status, lost.headers.get('content-range')]).toEqual([500, null]);
    expect(api.logged.some((line) => line.includes('a file that was recorded is not there'))).toBe(true);
  });
});

test('files of others are not there', async () => {
  const keys = ['acme', 'zeta'].map((name) => ({ tenant: { name, weight: 1 }, digest: digestOf(name) }));
  const client = await start({ keys }, 'acme');
  const other = new OpenAI({ baseURL: `${api.url}/v1`, apiKey: 'zeta', maxRetries: 0 });
  const { id } = await upload(client);
  for (const call of [() => other.files.retrieve(id), () => other.files.content(id), () => other.files.delete(id)]) {
    await expect(call()).rejects.toMatchObject({ status: 404, code: 'file_not_found' });
  }
  expect((await other.files.list()).data).toEqual([]);
  expect((await client.files.list()).data).toHaveLength(1);
  const stranger = new OpenAI({ baseURL: `${api.url}/v1`, apiKey: 'x', maxRetries: 0 });
  await expect(upload(stranger)).rejects.toThrow(OpenAI.AuthenticationError);
});

test('where no store is configured, whoever calls is told so', async () => {
  const client = await start({ keepsFiles: false });
  for (const call of [() => client.files.list(), () => upload(client), () => client.files.retrieve('file-x')]) {
    await expect(call()).rejects.toMatchObject({ status: 501, code: 'files_unavailable' });
  }
});
