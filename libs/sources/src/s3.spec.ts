/** Pulling from a server with the shape of S3, on this machine. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { openBench } from './testing/pulling.js';
import type { BucketObject } from './testing/s3-object.js';
import { startS3 } from './testing/s3-server.js';

const { bench, pullIt, refusal } = openBench();

const WEIGHTS = Buffer.alloc(300_000, 7);
const object = (bytes: Buffer | string, more: Partial<BucketObject> = {}): BucketObject => ({
  bytes: Buffer.from(bytes),
  ...more,
});
const OBJECTS: Readonly<Record<string, BucketObject>> = {
  'models/tiny/': object(''),
  'models/tiny/config.json': object('{}'),
  'models/tiny/model.safetensors': object(WEIGHTS),
  'models/tiny/notes.pkl': object('pickle'),
  'models/tiny-two/config.json': object('{"other":true}'),
};

beforeEach(() => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKCANARY');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  vi.stubEnv('AWS_CONFIG_FILE', '/none');
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/none');
});

const warnings: Error[] = [];
const onWarning = (warning: Error) => void warnings.push(warning);
process.on('warning', onWarning);
afterAll(() => {
  process.off('warning', onWarning);
  // Such as the SDK's, of the version of Node that it will need.
  expect(warnings).toEqual([]);
});

async function serve(objects = OBJECTS, pageSize = 1000) {
  const server = await startS3({ name: 'bucket', accessKeyId: 'AKCANARY', objects, pageSize });
  onTestFinished(() => server.close());
  return { server, settings: { s3: { endpoint: server.url, region: undefined } } };
}

const base64 = (hex: string) => Buffer.from(hex, 'hex').toString('base64');

test('a folder of a bucket is there with the files that are needed, over all pages', async () => {
  const { settings } = await serve(OBJECTS, 2);
  const { folder, origin } = await pullIt('s3://bucket/models/tiny/', settings);
  expect(readdirSync(folder).sort()).toEqual(['.pulled.json', 'config.json', 'model.safetensors']);
  expect(readFileSync(join(folder, 'model.safetensors')).equals(WEIGHTS)).toBe(true);
  expect(readFileSync(join(folder, 'config.json'), 'utf8')).toBe('{}');
  expect(origin).toBe('s3://bucket/models/tiny');
});

test('one file of a bucket is there by itself', async () => {
  const { settings } = await serve({ 'a/b-q8_0.gguf': object('gguf'), 'a/c.gguf': object('other') });
  const { path, folder } = await pullIt('s3://bucket/a/b-q8_0.gguf', settings);
  expect(readFileSync(path, 'utf8')).toBe('gguf');
  expect(readdirSync(folder).sort()).toEqual(['.pulled.json', 'b-q8_0.gguf']);
});

test('an ONNX file of a bucket brings what it keeps its weights in', async () => {
  const names = ['x.onnx', 'x.onnx_data', 'x.onnx.data', 'x.onnx_data_1', 'x.onnx2', 'y.onnx'];
  const { settings } = await serve(Object.fromEntries(names.map((name) => [`a/${name}`, object(name)])));
  const { folder } = await pullIt('s3://bucket/a/x.onnx', settings);
  expect(readdirSync(folder).sort()).toEqual(['.pulled.json', 'x.onnx', 'x.onnx.data', 'x.onnx_data', 'x.onnx_data_1']);
});

test('a download that breaks off goes on where it was', async () => {
  const { server, settings } = await serve();
  let broken = false;
  server.intercept = (request, response) => {
    if (broken || request.method !== 'GET' || !request.url?.includes('model.safetensors')) return false;
    broken = true;
    response.writeHead(200, { 'content-length': WEIGHTS.length });
    response.write(WEIGHTS.subarray(0, 1000), () => response.destroy());
    return true;
  };
  const { folder } = await pullIt('s3://bucket/models/tiny', settings);
  expect(readFileSync(join(folder, 'model.safetensors')).equals(WEIGHTS)).toBe(true);
  expect(bench.pauses).toEqual([1000]);
});

describe('contents are checked by what S3 knows of the whole object:', () => {
  const spoilt = Buffer.alloc(WEIGHTS.length, 8);
  test.each<[string, Partial<BucketObject>]>([
    ['its MD5', {}],
    [
      'its SHA-256',
      { headers: { 'x-amz-checksum-sha256': base64(createHash('sha256').update(WEIGHTS).digest('hex')) } },
    ],
    ['its CRC-32', { headers: { 'x-amz-checksum-crc32': base64(crc32(WEIGHTS).toString(16).padStart(8, '0')) } }],
  ])('%s', async (name, more) => {
    const { server, settings } = await serve({ 'm/model.safetensors': object(WEIGHTS, more) });
    await pullIt('s3://bucket/m', settings, { to: join(bench.folder, 'good') });
    server.intercept = (request, response) => {
      if (request.method !== 'GET' || !request.url?.includes('model.safetensors')) return false;
      response.end(spoilt);
      return true;
    };
    expect(await refusal('s3://bucket/m', settings)).toMatch(
      new RegExp(`is not what was announced: ${name} is [0-9a-f]+, and not [0-9a-f]+\\.$`),
    );
  });

  test('sums of parts, and ETags of what is encrypted, are none of the contents', async () => {
    const parts = {
      etag: `"${'a'.repeat(32)}-3"`,
      headers: { 'x-amz-checksum-sha256': 'AAAA-3', 'x-amz-checksum-type': 'COMPOSITE' },
    };
    const sealed = { etag: `"${'b'.repeat(32)}"`, headers: { 'x-amz-server-side-encryption': 'aws:kms' } };
    for (const more of [parts, sealed]) {
      const { settings } = await serve({ 'm/model.safetensors': object(WEIGHTS, more) });
      const { folder } = await pullIt('s3://bucket/m', settings);
      expect(readFileSync(join(folder, 'model.safetensors')).equals(WEIGHTS)).toBe(true);
    }
  });

  test('an object that is replaced meanwhile is told like that', async () => {
    const { server, settings } = await serve({ 'm/model.safetensors': object(WEIGHTS, { etag: '"one-1"' }) });
    server.intercept = (request, response) => {
      if (request.method !== 'GET' || !request.url?.includes('model.safetensors')) return false;
      response.writeHead(412).end();
      return true;
    };
    expect(await refusal('s3://bucket/m', settings)).toBe(
      's3://bucket/m/model.safetensors was changed while it was fetched: pull it again.',
    );
  });
});

describe('is refused with what to do:', () => {
  test('a bucket and a folder that there are not', async () => {
    const { settings } = await serve();
    expect(await refusal('s3://other/x', settings)).toBe('s3://other/x: there is no bucket other.');
    expect(await refusal('s3://bucket/none', settings)).toBe(
      's3://bucket/none has no files: look at the name (aws s3 ls s3://bucket/none/).',
    );
  });

  test('wrong credentials, and none', async () => {
    const { settings } = await serve();
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKOTHER');
    expect(await refusal('s3://bucket/models/tiny', settings)).toMatch(
      /the credentials are not taken \(InvalidAccessKeyId\): set AWS_ACCESS_KEY_ID/,
    );
    vi.stubEnv('AWS_ACCESS_KEY_ID', '');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', '');
    expect(await refusal('s3://bucket/models/tiny', settings)).toMatch(
      /no credentials were found: set AWS_ACCESS_KEY_ID/,
    );
  });

  test('what these credentials may not read', async () => {
    const { server, settings } = await serve();
    server.intercept = (_, response) => {
      response.writeHead(403, { 'content-type': 'application/xml' }).end('<Error><Code>AccessDenied</Code></Error>');
      return true;
    };
    expect(await refusal('s3://bucket/models/tiny', settings)).toMatch(
      /may not read it \(s3:ListBucket and s3:GetObject are needed\)/,
    );
  });

  test('answers that are none of S3', async () => {
    const { server, settings } = await serve();
    for (const answer of ['<html>', '<ListBucketResult><Contents><Key>bucket', '']) {
      server.intercept = (_, response) => {
        response.end(answer);
        return true;
      };
      expect(await refusal('s3://bucket/models/tiny', settings)).toMatch(
        /^s3:\/\/bucket\/models\/tiny(: the server| {1,2}has no files)/,
      );
    }
  });

  test('a list that does not end', async () => {
    const { server, settings } = await serve();
    const page = (contents: string, next: string) =>
      `<ListBucketResult><IsTruncated>true</IsTruncated>${next}${contents}</ListBucketResult>`;
    const token = (text: unknown) => `<NextContinuationToken>${text}</NextContinuationToken>`;
    const keys = '<Contents><Key>models/tiny/.skipped</Key><Size>1</Size></Contents>'.repeat(1000);
    let count = 0;
    const answers: readonly (readonly [answer: () => string, reason: string])[] = [
      [() => page('', token('same')), 'the server lists it without an end'],
      [() => page('', ''), 'the server lists it without an end'],
      [() => page('', token(count++)), 'is listed on more than 1000 pages'],
      [() => page(keys, token(count++)), 'has more than 50000 files'],
      [() => 'x'.repeat(17 * 1024 * 1024), 'the server answers with more than 16777216 bytes'],
    ];
    for (const [answer, reason] of answers) {
      server.intercept = (_, response) => {
        response.end(answer());
        return true;
      };
      expect(await refusal('s3://bucket/models/tiny', settings)).toContain(reason);
    }
  });

  test('a list that takes too long, page by page and byte by byte', async () => {
    const { server, settings } = await serve();
    const slow = { ...settings, headMs: 50, stallMs: 50 };
    let count = 0;
    server.intercept = (_, response) => {
      const next = `<NextContinuationToken>${count++}</NextContinuationToken>`;
      const answer = `<ListBucketResult><IsTruncated>true</IsTruncated>${next}</ListBucketResult>`;
      setTimeout(() => response.end(answer), 20);
      return true;
    };
    expect(await refusal('s3://bucket/models/tiny', slow)).toContain('the server does not list it within 1 s');
    server.intercept = (_, response) => {
      const dripping = setInterval(() => response.write(' '), 10);
      response.on('close', () => clearInterval(dripping));
      return true;
    };
    expect(await refusal('s3://bucket/models/tiny', slow)).toContain('the server does not list it within 1 s');
  });

  test('more files than a model has', async () => {
    const names = Array.from({ length: 2001 }, (_, n) => [`m/${n}.json`, object('{}')] as const);
    const { settings } = await serve({ 'm/model.safetensors': object(WEIGHTS), ...Object.fromEntries(names) });
    expect(await refusal('s3://bucket/m', settings)).toContain('has 2002 files of a model');
  });

  test.each(['m/../../evil.json', 'm//evil.json', 'm/a\\b.json', 'm/a:b.json'])('the key %j', async (key) => {
    const { settings } = await serve({ 'm/model.safetensors': object(WEIGHTS), [key]: object('x') });
    expect(await refusal('s3://bucket/m', settings)).toMatch(/has a file by a name that leads elsewhere/);
    expect(readdirSync(bench.folder)).toEqual([]);
  });
});
