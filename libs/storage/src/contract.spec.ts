/** What every store keeps to: the same tests of a folder and of a bucket. */
import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Store } from './store.js';
import { type Bench, bytesOf, chunked, diskBench, keysOf, noise, s3Bench, text, textOf } from './testing/bench.js';

const warnings: Error[] = [];
const onWarning = (warning: Error) => void warnings.push(warning);
process.on('warning', onWarning);
afterAll(() => {
  process.off('warning', onWarning);
  // Such as of listeners that pile up, or of files that nobody closed.
  expect(warnings).toEqual([]);
});

const MIB = 1024 * 1024;
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const refusal = (code: string) => expect.objectContaining({ name: 'ShoalError', code });

describe.each<[string, () => Promise<Bench>]>([
  ['a folder', diskBench],
  ['a bucket', () => s3Bench({}, 3)],
])('%s', (_, open) => {
  let bench: Bench;
  let store: Store;
  beforeEach(async () => {
    bench = await open();
    store = bench.store;
  });

  test.each([0, 1, 1000, MIB / 4, 5 * MIB, 5 * MIB + 1, 10 * MIB, 23 * MIB + 77])(
    'has a blob of %d bytes as it was written',
    async (length) => {
      const bytes = noise(length);
      expect(await store.write('a/b.jsonl', chunked(bytes, 99_991))).toEqual({ bytes: length, sha256: sha256(bytes) });
      expect(await store.size('a/b.jsonl')).toBe(length);
      expect((await bytesOf(await store.read('a/b.jsonl'))).equals(bytes)).toBe(true);
      expect(await bench.another().then((other) => other.size('a/b.jsonl'))).toBe(length);
      expect(bench.leftovers()).toBe(0);
    },
  );

  test.each([
    [0, 0, 'a'],
    [1, 3, 'bcd'],
    [0, 5, 'abcdef'],
    [4, 100, 'ef'],
    [5, 5, 'f'],
    [6, 6, ''],
    [7, 1000, ''],
    [0, Number.MAX_SAFE_INTEGER, 'abcdef'],
  ])('reads bytes %d to %d', async (first, last, expected) => {
    await store.write('a', text('abcdef'));
    const reading = await store.read('a', { range: { first, last } });
    expect(reading?.bytes).toBe(expected.length);
    expect((await bytesOf(reading)).toString()).toBe(expected);
  });

  test('has nothing of what is not there, and removes it without an error', async () => {
    expect(await store.read('a/b')).toBeUndefined();
    expect(await store.size('a/b')).toBeUndefined();
    await store.remove('a/b');
    await store.write('a/b', text('x'));
    await store.remove('a/b');
    await store.remove('a/b');
    expect(await store.size('a/b')).toBeUndefined();
    expect(await keysOf(store)).toEqual([]);
  });

  test('has a new blob when it is whole, and the older one until then', async () => {
    await store.write('a', text('older'));
    let seen = '';
    await store.write(
      'a',
      (async function* () {
        yield noise(6 * MIB);
        seen = await textOf(store, 'a');
        yield Buffer.from('the end');
      })(),
    );
    expect(seen).toBe('older');
    expect(await store.size('a')).toBe(6 * MIB + 7);
  });

  describe.each([
    ['a small blob', 10],
    ['a large one', 11 * MIB],
  ])('leaves nothing of %s, and an older one as it was,', (_name, length) => {
    beforeEach(async () => {
      await store.write('older', text('older'));
    });
    const untouched = async () => {
      expect(await keysOf(store)).toEqual(['older']);
      expect(await textOf(store, 'older')).toBe('older');
      expect(bench.leftovers()).toBe(0);
    };

    test('where its source fails, of whatever it be', async () => {
      const fault = Object.assign(new Error('of the source'), { code: 'ENOSPC', name: 'TimeoutError' });
      for (const key of ['new', 'older']) {
        const source = (async function* () {
          yield noise(length);
          throw fault;
        })();
        await expect(store.write(key, source)).rejects.toBe(fault);
      }
      await untouched();
    });

    test('where it grows too large; its source is ended', async () => {
      for (const key of ['new', 'older']) {
        const ended = vi.fn();
        const source = (async function* () {
          try {
            for (;;) yield noise(1000);
          } finally {
            ended();
          }
        })();
        await expect(store.write(key, source, { maxBytes: length })).rejects.toEqual(refusal('file_too_large'));
        expect(ended).toHaveBeenCalledOnce();
      }
      await untouched();
    });

    test('where its signal aborts, though its source is silent', async () => {
      for (const key of ['new', 'older']) {
        const ending = new AbortController();
        const source = (async function* () {
          yield noise(length);
          setImmediate(() => ending.abort(new Error('enough')));
          await new Promise(() => undefined);
        })();
        await expect(store.write(key, source, { signal: ending.signal })).rejects.toThrow('enough');
      }
      const signal = AbortSignal.abort(new Error('from the start'));
      await expect(store.write('new', text('x'), { signal })).rejects.toThrow('from the start');
      await untouched();
    });
  });

  test('a blob of exactly the bytes that are allowed is taken', async () => {
    expect(await store.write('a', text('12345'), { maxBytes: 5 })).toMatchObject({ bytes: 5 });
    await expect(store.write('a', text('123456'), { maxBytes: 5 })).rejects.toEqual(refusal('file_too_large'));
    expect(await textOf(store, 'a')).toBe('12345');
  });

  test('of several writers of a key, one has it whole', async () => {
    const other = await bench.another();
    const blobs = Array.from({ length: 8 }, (_value, seed) => noise(seed % 2 === 0 ? 6 * MIB : 6000, seed + 1));
    await Promise.all(blobs.map((bytes, at) => (at % 3 === 0 ? other : store).write('a/a', chunked(bytes, 70_000))));
    const kept = await bytesOf(await store.read('a/a'));
    expect(blobs.filter((bytes) => bytes.equals(kept))).toHaveLength(1);
    expect(bench.leftovers()).toBe(0);
  });

  test('writers and removers of neighbours do not hinder each other', async () => {
    const other = await bench.another();
    await Promise.all(
      Array.from({ length: 40 }, async (_value, at) => {
        const one = at % 2 === 0 ? store : other;
        await one.write(`t/u/${at % 5}/${at}`, text(`${at}`));
        expect(await textOf(one, `t/u/${at % 5}/${at}`)).toBe(`${at}`);
        await one.remove(`t/u/${at % 5}/${at}`);
      }),
    );
    expect(await keysOf(store)).toEqual([]);
  });

  test('what is read is of one blob, whoever replaces or removes it', async () => {
    const [one, two] = [noise(3 * MIB, 1), noise(3 * MIB, 2)];
    await store.write('a', chunked(one));
    const early = await store.read('a');
    const late = await store.read('a');
    const gone = await store.read('a', { range: { first: 10, last: 2 * MIB } });
    const begun: Uint8Array[] = [];
    for await (const chunk of early!.stream) {
      if (begun.length === 0) await store.write('a', chunked(two));
      begun.push(chunk);
    }
    expect(Buffer.concat(begun).equals(one)).toBe(true);
    await expect(bytesOf(late)).rejects.toEqual(refusal('storage_unavailable'));
    await store.remove('a');
    await expect(bytesOf(gone)).rejects.toEqual(refusal('storage_unavailable'));
  });

  test('a reader may stop, be stopped, or never begin', async () => {
    await store.write('a', chunked(noise(6 * MIB)));
    await store.read('a');
    for await (const chunk of (await store.read('a'))!.stream) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    const ending = new AbortController();
    const { stream } = (await store.read('a', { signal: ending.signal }))!;
    await expect(
      (async () => {
        for await (const _chunk of stream) ending.abort(new Error('enough'));
      })(),
    ).rejects.toThrow('enough');
    await expect(store.read('a', { signal: ending.signal })).rejects.toThrow('enough');
    expect(await store.size('a')).toBe(6 * MIB);
  });

  test('what is read is the reader’s to keep', async () => {
    const bytes = noise(3 * MIB);
    await store.write('a', chunked(bytes));
    const kept: Uint8Array[] = [];
    for await (const chunk of (await store.read('a'))!.stream) {
      kept.push(chunk);
      await turn();
    }
    expect(Buffer.concat(kept).equals(bytes)).toBe(true);
  });

  test('lists what begins so, with its size and age', async () => {
    const before = Date.now();
    for (const key of ['a/1', 'a/2', 'a/22/3', 'a/b/c/4', 'b', 'ab/5']) await store.write(key, text(key));
    const all: unknown[] = [];
    for await (const { key, bytes, modifiedAt } of store.list('')) {
      all.push([key, bytes]);
      // A file system's clock is a coarse one.
      expect(Math.abs(modifiedAt - before)).toBeLessThan(600_000);
      expect(Number.isInteger(modifiedAt)).toBe(true);
    }
    expect(all.sort()).toEqual(['a/1', 'a/2', 'a/22/3', 'a/b/c/4', 'ab/5', 'b'].map((key) => [key, key.length]));
    expect(await keysOf(store, 'a/')).toEqual(['a/1', 'a/2', 'a/22/3', 'a/b/c/4']);
    expect(await keysOf(store, 'a/2')).toEqual(['a/2', 'a/22/3']);
    expect(await keysOf(store, 'a/b')).toEqual(['a/b/c/4']);
    expect(await keysOf(store, 'a/b/c/4')).toEqual(['a/b/c/4']);
    for (const prefix of ['a/1/', 'c', 'b/', 'a/b/c/d/']) expect(await keysOf(store, prefix)).toEqual([]);
  });

  test.each([
    '',
    '/a',
    'a/',
    'a//b',
    '.',
    '..',
    'a/../b',
    'a/./b',
    'a b',
    'ä',
    'a\\b',
    'a\0',
    'a~',
    '~writing/a',
    'a%2F',
  ])('refuses the key %j', async (key) => {
    const refused = refusal('invalid_request');
    await expect(store.write(key, text('x'))).rejects.toEqual(refused);
    await expect(store.read(key)).rejects.toEqual(refused);
    await expect(store.size(key)).rejects.toEqual(refused);
    await expect(store.remove(key)).rejects.toEqual(refused);
  });

  test('takes the longest keys, and refuses longer ones', async () => {
    const longest = [...'xyz']
      .map((letter) => letter.repeat(200))
      .join('/')
      .slice(0, 500);
    await store.write(longest, text('x'));
    expect(await keysOf(store)).toEqual([longest]);
    expect(await textOf(store, longest)).toBe('x');
    for (const key of [`${longest}x`, 'x'.repeat(201)]) {
      await expect(store.size(key)).rejects.toEqual(refusal('invalid_request'));
    }
    for (const prefix of ['/', 'a/../', '../', 'a b', '~']) {
      await expect(keysOf(store, prefix)).rejects.toEqual(refusal('invalid_request'));
    }
  });

  test.each([
    [-1, 1],
    [2, 1],
    [0.5, 1],
    [0, Number.NaN],
    [0, Number.POSITIVE_INFINITY],
  ])('refuses the range %d to %d', async (first, last) => {
    await store.write('a', text('x'));
    await expect(store.read('a', { range: { first, last } })).rejects.toEqual(refusal('invalid_request'));
  });

  test('says that it works, and leaves nothing that is listed', async () => {
    await Promise.all([store.check(), store.check(), bench.another().then((other) => other.check())]);
    expect(await keysOf(store)).toEqual([]);
    expect(bench.leftovers()).toBe(0);
  });
});
