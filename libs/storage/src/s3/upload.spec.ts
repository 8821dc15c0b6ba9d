/** Uploads to a server with the shape of S3 that is slow, silent, odd or away. */
import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { bytesOf, chunked, noise, s3Bench, text, textOf } from '../testing/bench.js';
import { type Answer, answerTo, HASTE, isJoin, isPart, refusal, refuse, xml } from '../testing/s3-faults.js';

const MIB = 1024 * 1024;

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
    // One request of so many is answered so; each silence takes all of the patience.
    const faults: readonly (readonly [number, Answer])[] = [
      [3, (_, response) => refuse(response, 500, 'InternalError')],
      [3, (_, response) => refuse(response, 503, 'SlowDown')],
      [3, (_, response) => void response.destroy()],
      [8, () => undefined],
    ];
    for (const [of, fault] of faults) {
      let count = 0;
      server.intercept = answerTo(
        ({ method }) => method !== 'GET',
        (...asked) => (count++ % of === 0 ? fault(...asked) : false),
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
