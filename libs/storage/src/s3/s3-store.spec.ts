/** What only a bucket can do and fail of, beside uploads and reading. The rest is in contract.spec.ts. */
import { describe, expect, test, vi } from 'vitest';
import { openStore } from '../open-store.js';
import { keysOf, s3Bench, text, textOf } from '../testing/bench.js';
import { answerTo, isGet, refusal, refuse } from '../testing/s3-faults.js';

const MIB = 1024 * 1024;

test('objects lie behind the prefix; what else is there is nobody’s', async () => {
  const { store, objects } = await s3Bench();
  await store.write('a/b', text('x'));
  expect(Object.keys(objects)).toEqual(['shoal/a/b']);
  const foreign = { bytes: Buffer.from('y') };
  Object.assign(objects, { 'shoal/folder/': foreign, 'shoal/a b': foreign, shoalish: foreign, 'other/a': foreign });
  expect(await keysOf(store)).toEqual(['a/b']);
});

test('a bucket without a prefix', async () => {
  const { server, objects } = await s3Bench();
  const s3 = { endpoint: server.url, region: undefined };
  for (const url of ['s3://bucket', 's3://bucket/', 's3://bucket//']) {
    const store = await openStore(url, { clock: Date.now, s3 });
    await store.write('a', text('x'));
    expect([await textOf(store, 'a'), await keysOf(store), Object.keys(objects)]).toEqual(['x', ['a'], ['a']]);
    await store.close();
  }
});

test('opening asks nothing: a process starts while its store is away', async () => {
  const s3 = { endpoint: 'http://127.0.0.1:1', region: undefined };
  await s3Bench();
  const store = await openStore('s3://bucket/shoal', { clock: Date.now, s3 });
  await expect(store.check()).rejects.toEqual(refusal(/^The store of files cannot be reached \(ECONNREFUSED\)\.$/));
  await store.close();
});

describe('a list', () => {
  const page = (contents: string, next: string) =>
    `<ListBucketResult><IsTruncated>true</IsTruncated>${next}${contents}</ListBucketResult>`;
  const token = (words: unknown) => `<NextContinuationToken>${words}</NextContinuationToken>`;
  const entry = (fields: string) => page(`<Contents><Key>shoal/a</Key>${fields}</Contents>`, token('next'));
  let count = 0;
  const date = '<LastModified>2026-01-01T00:00:00.000Z</LastModified>';

  test.each<[string, RegExp, () => string]>([
    ['that repeats itself', /lists files without an end/, () => page('', token('same'))],
    ['that names no next page', /lists files without an end/, () => page('', '')],
    ['of nothing, without an end', /lists files without an end/, () => page('', token(count++))],
    ['of no size', /a file has no size/, () => entry(date)],
    ['of an odd size', /a file has no size/, () => entry(`${date}<Size>-1</Size>`)],
    ['of no date', /a file has no date/, () => entry('<Size>1</Size>')],
    ['that is endless', /more than it can have to say/, () => 'x'.repeat(17 * MIB)],
    ['that is none', /does not answer as S3 does|lists|answers/, () => '<ListBucketResult><Contents>'],
  ])('%s ends in an error', async (_name, message, answer) => {
    const { store, server } = await s3Bench();
    server.intercept = (_request, response) => {
      response.end(answer());
      return true;
    };
    await expect(keysOf(store)).rejects.toEqual(refusal(message));
  });

  test('that drips ends in an error', async () => {
    const { store, server } = await s3Bench({ headMs: 30 });
    server.intercept = (_, response) => {
      const dripping = setInterval(() => response.write(' '), 10);
      response.on('close', () => clearInterval(dripping));
      return true;
    };
    await expect(keysOf(store)).rejects.toEqual(refusal(/does not answer in time/));
  });

  test('is asked for in pages, as far as it is read', async () => {
    const { store, server } = await s3Bench({}, 2);
    for (let at = 0; at < 9; at++) await store.write(`a/${at}`, text('x'));
    const before = server.asked.length;
    for await (const { key } of store.list('a/')) if (key === 'a/2') break;
    expect(server.asked.length - before).toBe(2);
    expect(await keysOf(store, 'a/')).toHaveLength(9);
  });
});

describe('whoever runs it is told what to do:', () => {
  test.each<[string, string, number, RegExp]>([
    ['rights', 'AccessDenied', 403, /does not let these credentials do that \(s3:GetObject, s3:PutObject/],
    ['another region', 'PermanentRedirect', 301, /has its bucket in another region: set AWS_REGION/],
    ['no bucket', 'NoSuchBucket', 404, /has a bucket that is not there/],
    ['wrong credentials', 'SignatureDoesNotMatch', 403, /does not take the credentials .*: set AWS_ACCESS_KEY_ID/],
    ['what is not known here', 'Strange<&', 400, /answers 400/],
  ])('%s', async (_name, code, status, message) => {
    const { store, server } = await s3Bench();
    server.intercept = (_, response) => {
      refuse(response, status, code);
      return true;
    };
    await expect(store.check()).rejects.toEqual(refusal(message));
  });

  test('no credentials, and those of somebody else', async () => {
    const { another } = await s3Bench();
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKOTHER');
    await expect((await another()).check()).rejects.toEqual(refusal(/InvalidAccessKeyId/));
    vi.stubEnv('AWS_ACCESS_KEY_ID', '');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', '');
    await expect((await another()).check()).rejects.toEqual(refusal(/has no credentials: set AWS_ACCESS_KEY_ID/));
  });

  test.each([200, 404, 500])('a web server that is no store and says %d to all', async (status) => {
    const { store, server } = await s3Bench();
    server.intercept = (_, response) => {
      response.writeHead(status, { 'content-type': 'text/html' }).end('<html><body>Hello</body></html>');
      return true;
    };
    await expect(store.check()).rejects.toEqual(refusal(/^The store of files (does not answer as S3 does|answers)/));
  });

  test('a store that does not have what it has taken', async () => {
    const { store, server } = await s3Bench();
    server.intercept = answerTo(
      ({ method }) => method === 'PUT',
      (_, response) => void response.writeHead(200, { etag: '"x"' }).end(),
    );
    await expect(store.check()).rejects.toEqual(refusal(/answers 404 \(NoSuchKey\)/));
  });
});

test('removing asks nothing twice; a store that says 404 has nothing there', async () => {
  const { store, server } = await s3Bench();
  server.intercept = answerTo(
    ({ method }) => method === 'DELETE',
    (_, response) => refuse(response, 404, 'NoSuchKey'),
  );
  await store.remove('a');
  expect(server.asked.map(({ method }) => method)).toEqual(['DELETE']);
});

test('the check takes two requests, and works while others do the same', async () => {
  const { store, server, another } = await s3Bench();
  await store.check();
  expect(server.asked.map(({ method }) => method)).toEqual(['PUT', 'GET']);
  const others = await Promise.all(Array.from({ length: 5 }, () => another()));
  // Each writing has a tag of its own where a bucket is encrypted.
  let count = 0;
  server.intercept = answerTo(isGet, (request) => {
    if (request.headers['if-match'] !== undefined) request.headers['if-match'] = `"${count++}"`;
    return false;
  });
  await Promise.all(others.map((other) => other.check()));
});
