/** Reading from a server with the shape of S3 that is slow, silent, odd or away. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { bytesOf, chunked, noise, s3Bench } from '../testing/bench.js';
import { type Answer, answerTo, HASTE, isGet, refusal, refuse } from '../testing/s3-faults.js';

const MIB = 1024 * 1024;

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
