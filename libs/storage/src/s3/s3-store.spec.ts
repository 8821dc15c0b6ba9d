/** What only a bucket can do and fail of: a server with the shape of S3 that is slow, silent, odd or away. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { openStore } from '../open-store.js';
import { bytesOf, chunked, keysOf, noise, s3Bench, text, textOf } from '../testing/bench.js';

const MIB = 1024 * 1024;
/** For servers that say nothing. What they do answer they have to have time for. */
const HASTE = { headMs: 2000, stallMs: 300, tries: 2 };
const refusal = (message: RegExp, code = 'storage_unavailable') =>
  expect.objectContaining({ name: 'ShoalError', code, message: expect.stringMatching(message) });

/** What it returns is nothing, or false: the server may answer by itself. */
type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

const isPart = ({ url = '' }: IncomingMessage) => url.includes('partNumber=');
const isJoin = ({ method, url = '' }: IncomingMessage) => method === 'POST' && url.includes('uploadId=');
const isGet = ({ method, url = '' }: IncomingMessage) => method === 'GET' && !url.includes('list-type');

const xml = (code: string) =>
  `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>no</Message></Error>`;
const refuse = (response: ServerResponse, status: number, code: string) =>
  void response.writeHead(status, { 'content-type': 'application/xml' }).end(xml(code));

/** The answer to requests that `matches`, the first `times` of them. */
function answerTo(matches: (request: IncomingMessage) => boolean, answer: Answer, times = Number.POSITIVE_INFINITY) {
  let left = times;
  return (request: IncomingMessage, response: ServerResponse): boolean => {
    if (left === 0 || !matches(request)) return false;
    left--;
    return answer(request, response) !== false;
  };
}

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

describe('an upload', () => {
  test('has a few parts under way, never more', async () => {
    const { store, server } = await s3Bench();
    let [now, most] = [0, 0];
    server.intercept = answerTo(isPart, (_, response) => {
      most = Math.max(most, ++now);
      response.once('close', () => now--);
      return false;
    });
    await store.write('a', chunked(noise(40 * MIB), 300_000));
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(3);
  });

  test('survives a server that fails, breaks off and is silent for a moment', async () => {
    const { store, server } = await s3Bench({ headMs: 5000 });
    const faults: readonly Answer[] = [
      (_, response) => refuse(response, 500, 'InternalError'),
      (_, response) => refuse(response, 503, 'SlowDown'),
      (_, response) => void response.destroy(),
      () => undefined,
    ];
    for (const fault of faults) {
      let count = 0;
      server.intercept = answerTo(
        ({ method }) => method !== 'GET',
        (...asked) => (count++ % 3 === 0 ? fault(...asked) : false),
      );
      const bytes = noise(11 * MIB, count);
      await store.write('large', chunked(bytes));
      await store.write('small', text('small'));
      server.intercept = undefined;
      expect((await bytesOf(await store.read('large'))).equals(bytes)).toBe(true);
      expect(await textOf(store, 'small')).toBe('small');
    }
  });

  test.each<[string, RegExp, Answer, object?]>([
    ['fails', /answers 500 \(InternalError\)/, (_, response) => refuse(response, 500, 'InternalError')],
    ['is silent', /does not answer in time/, () => true, HASTE],
    ['breaks off', /cannot be reached \((ECONNRESET|EPIPE)\)/, (_, response) => void response.destroy()],
    ['says nothing of what it took', /takes a file without naming its tag/, (_, response) => void response.end()],
  ])(
    'ends in an error and leaves nothing where the server %s for long',
    async (_name, message, answer, patience = {}) => {
      const { store, server, objects } = await s3Bench(patience);
      await store.write('a', text('older'));
      server.intercept = answerTo((request) => request.method === 'PUT', answer);
      for (const bytes of [noise(1000), noise(11 * MIB)]) {
        await expect(store.write('a', chunked(bytes))).rejects.toEqual(refusal(message));
        await expect(store.write('b', chunked(bytes))).rejects.toEqual(refusal(message));
      }
      expect(server.uploads.size).toBe(0);
      expect(Object.keys(objects)).toEqual(['shoal/a']);
      expect(await textOf(store, 'a')).toBe('older');
    },
  );

  test('that is aborted stops its parts, and none is left', async () => {
    const { store, server, objects } = await s3Bench();
    const ending = new AbortController();
    let stopped = 0;
    server.intercept = answerTo(isPart, (request, response) => {
      response.once('close', () => stopped++);
      request.resume();
      // Not answered.
      request.once('end', () => ending.abort(new Error('enough')));
    });
    const writing = store.write('a', chunked(noise(30 * MIB)), { signal: ending.signal });
    await expect(writing).rejects.toThrow('enough');
    await expect.poll(() => stopped).toBeGreaterThan(0);
    expect([server.uploads.size, Object.keys(objects)]).toEqual([0, []]);
  });

  test('that is there although the answer was lost is there', async () => {
    const { store, server } = await s3Bench();
    const bytes = noise(6 * MIB);
    const { writing, ended } = lostAnswers();
    // The request goes its way; only its answer never comes.
    server.intercept = (request, response) => {
      if (isJoin(request) || (request.method === 'PUT' && !isPart(request))) writing(response);
      return false;
    };
    await store.write('a', text('small'));
    await store.write('b', chunked(bytes));
    expect(ended()).toBeGreaterThan(1);
    server.intercept = undefined;
    expect(await textOf(store, 'a')).toBe('small');
    expect((await bytesOf(await store.read('b'))).equals(bytes)).toBe(true);
    expect(server.uploads.size).toBe(0);
  });

  test('that S3 refuses in an answer of 200 is refused', async () => {
    const { store, server, objects } = await s3Bench();
    server.intercept = answerTo(isJoin, (_, response) => void response.writeHead(200).end(xml('InternalError')));
    await expect(store.write('a', chunked(noise(6 * MIB)))).rejects.toEqual(refusal(/answers 503 \(InternalError\)/));
    expect([server.uploads.size, Object.keys(objects)]).toEqual([0, []]);
  });

  test('of which the wire spoils a part is refused', async () => {
    const { store, server } = await s3Bench();
    server.intercept = answerTo(isPart, (request) => {
      request.headers['x-amz-content-sha256'] = 'of something else';
      return false;
    });
    await expect(store.write('a', chunked(noise(6 * MIB)))).rejects.toEqual(refusal(/XAmzContentSHA256Mismatch/));
    expect(server.uploads.size).toBe(0);
  });

  test.each(['XMinioStorageFull', 'QuotaExceeded'])('for which there is no room (%s)', async (code) => {
    const { store, server } = await s3Bench();
    server.intercept = answerTo(
      (request) => request.method === 'PUT',
      (_, response) => refuse(response, 507, code),
    );
    const full = refusal(/^The store of files has no more room\.$/, 'storage_full');
    await expect(store.write('a', text('x'))).rejects.toEqual(full);
    await expect(store.write('a', chunked(noise(6 * MIB)))).rejects.toEqual(full);
    await expect(store.check()).rejects.toEqual(full);
  });
});

/** Cuts connections when their answer would begin. */
function lostAnswers() {
  let count = 0;
  const writing = (response: ServerResponse) => {
    response.writeHead = () => {
      count++;
      response.destroy();
      return response;
    };
    response.end = () => response;
  };
  return { writing, ended: () => count };
}

describe('what is read', () => {
  const BYTES = noise(3 * MIB);

  async function written(patience = {}) {
    const bench = await s3Bench(patience);
    await bench.store.write('a', chunked(BYTES));
    return bench;
  }

  test('goes on from where its connection broke off', async () => {
    const { store, server } = await written();
    let count = 0;
    server.intercept = answerTo(isGet, (request, response) => {
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      if (count++ === 3) return false;
      const part = BYTES.subarray(Number(first), Number(last) + 1);
      const range = `bytes ${first}-${last}/${BYTES.length}`;
      response.writeHead(206, { 'content-range': range, 'content-length': part.length, etag: '"x"' });
      response.write(part.subarray(0, 500_000), () => response.destroy());
    });
    expect((await bytesOf(await store.read('a'))).equals(BYTES)).toBe(true);
    expect(count).toBe(4);
    count = 0;
    const range = { first: 1_000_000, last: 2_999_999 };
    expect((await bytesOf(await store.read('a', { range }))).equals(BYTES.subarray(1_000_000, 3_000_000))).toBe(true);
    expect(count).toBe(4);
    const asked = server.asked.filter(({ method }) => method === 'GET').map(({ headers }) => headers['if-match']);
    expect(new Set(asked).size).toBe(1);
    expect(asked[0]).toMatch(/^"\w+"$/);
  });

  test('may be read slowly', async () => {
    const { store } = await written(HASTE);
    let bytes = 0;
    for await (const chunk of (await store.read('a'))!.stream) {
      if (bytes === 0) await sleep(2 * HASTE.stallMs);
      bytes += chunk.length;
    }
    expect(bytes).toBe(BYTES.length);
  });

  const [first, last] = [0, BYTES.length - 1];
  const whole = { 'content-length': BYTES.length, 'content-range': `bytes ${first}-${last}/${BYTES.length}` };
  test.each<[string, RegExp, Answer]>([
    [
      'breaks off each time',
      /breaks off in the middle of a file, 2 times/,
      (_, response) => {
        response.writeHead(206, whole);
        response.flushHeaders();
        setImmediate(() => response.destroy());
      },
    ],
    [
      'comes no further',
      /breaks off in the middle of a file, 2 times/,
      (_, response) => {
        response.writeHead(206, whole).flushHeaders();
      },
    ],
    ['never begins', /does not answer in time/, () => undefined],
    [
      'is another part',
      /sends another part/,
      (_, response) => {
        response.writeHead(206, { ...whole, 'content-range': `bytes 1-${last + 1}/${BYTES.length + 1}` }).end(BYTES);
      },
    ],
    [
      'is of a blob of another size',
      /sends another part/,
      (_, response) => {
        response.writeHead(206, { ...whole, 'content-range': `bytes 0-${last}/${BYTES.length + 1}` }).end(BYTES);
      },
    ],
    [
      'has another length',
      /sends another part/,
      (_, response) => {
        response.writeHead(206, { ...whole, 'content-length': 10 }).end(BYTES.subarray(0, 10));
      },
    ],
    [
      'does not tell its length',
      /sends another part/,
      (_, response) => {
        response.writeHead(200).end(BYTES);
      },
    ],
    ['was replaced', /has another file in the place/, (_, response) => refuse(response, 412, 'PreconditionFailed')],
    ['was removed', /has another file in the place/, (_, response) => refuse(response, 404, 'NoSuchKey')],
    ['may not be read', /does not let these credentials/, (_, response) => refuse(response, 403, 'AccessDenied')],
  ])('ends in an error where it %s', async (_name, message, answer) => {
    const { store, server } = await written(HASTE);
    server.intercept = answerTo(isGet, answer);
    await expect(bytesOf(await store.read('a'))).rejects.toEqual(refusal(message));
  });

  test('is whole where the server knows no ranges', async () => {
    const { store, server } = await written();
    server.intercept = answerTo(isGet, (_, response) => void response.end(BYTES));
    expect((await bytesOf(await store.read('a'))).equals(BYTES)).toBe(true);
    await expect(bytesOf(await store.read('a', { range: { first: 1, last: 5 } }))).rejects.toEqual(
      refusal(/sends another part/),
    );
  });

  test('lets go of its connection where its reader stops, and where the signal aborts', async () => {
    const { store, server } = await written();
    let open = 0;
    server.intercept = answerTo(isGet, (_, response) => {
      open++;
      response.once('close', () => open--);
      response.writeHead(206, whole);
      response.write(BYTES.subarray(0, 100_000));
    });
    await store.read('a');
    expect(open).toBe(0);
    for await (const _chunk of (await store.read('a'))!.stream) break;
    await expect.poll(() => open).toBe(0);
    const ending = new AbortController();
    const chunks = (await store.read('a', { signal: ending.signal }))!.stream[Symbol.asyncIterator]();
    await chunks.next();
    expect(open).toBe(1);
    ending.abort(new Error('enough'));
    await expect.poll(() => open).toBe(0);
    await expect(
      (async () => {
        while ((await chunks.next()).done !== true);
      })(),
    ).rejects.toThrow('enough');
  });

  test.each<[string, Record<string, string>]>([
    ['size', { etag: '"x"', 'transfer-encoding': 'chunked' }],
    ['tag', { 'content-length': '5' }],
  ])('must have a %s', async (name, headers) => {
    const { store, server } = await written();
    server.intercept = answerTo(
      ({ method }) => method === 'HEAD',
      (_, response) => void response.writeHead(200, headers).end(),
    );
    await expect(store.read('a')).rejects.toEqual(
      refusal(new RegExp(`does not answer as S3 does: a file has no ${name}`)),
    );
    await expect(store.size('a')).rejects.toEqual(refusal(/does not answer as S3 does/));
  });
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
    await expect(store.check()).rejects.toEqual(refusal(/does not have what it has taken/));
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
