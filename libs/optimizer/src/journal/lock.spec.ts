/** A lock has one holder at a time, however many come at once and whatever dead processes have left, here and elsewhere. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lockFolder, whileLocked } from './lock.js';

/** Compiled: other processes run it. */
const RACER = fileURLToPath(new URL('../../dist/testing/racer.js', import.meta.url));
const run = promisify(execFile);
/** Short enough for tests to wait for. */
const times = { renewMs: 10, silentMs: 100 };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Path of a file as a holder leaves it; `changes` to this process's own. */
async function leave(changes: {
  readonly pid?: number;
  readonly started?: string;
  readonly namespace?: string;
  readonly host?: string;
}) {
  const lock = await lockFolder(folder);
  lock.unlock();
  const [, ownPid, ownStart, token, ownSpace] = basename(lock.path).split('-');
  const { pid = ownPid, started = ownStart, namespace = ownSpace, host = hostname() } = changes;
  const path = join(folder, `lock-${pid}-${started}-${token}-${namespace}-${host}`);
  writeFileSync(path, '');
  return path;
}

const ELSEWHERE = { host: 'elsewhere.example', pid: 1, started: '1' };

test('a folder is had by one at a time, and given back', async () => {
  const lock = await lockFolder(folder);
  await expect(lockFolder(folder)).rejects.toThrow(
    `is being optimised by process ${process.pid}: wait for it, or stop it`,
  );
  lock.check();
  lock.unlock();
  expect(readdirSync(folder)).toEqual([]);
  (await lockFolder(folder)).unlock();
});

test('what a process left that is there no more is in nobody’s way, and is removed', async () => {
  await leave({ pid: 2 ** 22 + 7 });
  // The number may be another process's by now: when it began tells.
  await leave({ pid: process.ppid, started: '1' });
  writeFileSync(join(folder, 'lock-of-another-kind'), '');
  const lock = await lockFolder(folder);
  expect(readdirSync(folder).filter((name) => name !== 'lock-of-another-kind')).toEqual([basename(lock.path)]);
  lock.unlock();
});

describe('of another machine or container, whose processes nobody here can see', () => {
  test.each([
    ['machine', ELSEWHERE, 'by process 1 of elsewhere.example'],
    [
      'container of the same name, whose processes have numbers of their own',
      { namespace: '7', pid: 2 ** 22 + 7, started: '1' },
      `by process ${2 ** 22 + 7} of another container that is called ${hostname()}`,
    ],
  ])('it is taken over when there was no sign of life for a while, which is said: %s', async (_, holder, words) => {
    const left = await leave(holder);
    const said: string[] = [];
    const lock = await lockFolder(folder, { times, say: (line) => void said.push(line) });
    expect(said).toEqual([expect.stringContaining(`is being optimised ${words}, or was: without a sign of life`)]);
    expect(readdirSync(folder)).toEqual([basename(lock.path)]);
    expect(lock.path).not.toBe(left);
    lock.unlock();
  });

  test('it is left to whoever gives signs of life, however old the clock there is', async () => {
    const left = await leave(ELSEWHERE);
    let at = 0;
    const alive = setInterval(() => utimesSync(left, 0, ++at), 1);
    try {
      await expect(lockFolder(folder, { times: { ...times, silentMs: 600_000 } })).rejects.toThrow(
        'is being optimised by process 1 of elsewhere.example: wait for it, or stop it',
      );
    } finally {
      clearInterval(alive);
    }
    expect(readdirSync(folder)).toEqual([basename(left)]);
  });

  test('it is had as soon as it is given back, and the wait ends with the signal', async () => {
    const long = { renewMs: 10, silentMs: 600_000 };
    const left = await leave(ELSEWHERE);
    const stop = new AbortController();
    const stopped = lockFolder(folder, {
      times: long,
      signal: stop.signal,
      say: () => stop.abort(new Error('stopped')),
    });
    await expect(stopped).rejects.toThrow('stopped');
    expect(readdirSync(folder)).toEqual([basename(left)]);
    const lock = await lockFolder(folder, { times: long, say: () => rmSync(left) });
    lock.unlock();
  });

  test('a run gives such signs for as long as it has it', async () => {
    const lock = await lockFolder(folder, { times });
    const before = statSync(lock.path).mtimeMs;
    await expect.poll(() => statSync(lock.path).mtimeMs).toBeGreaterThan(before);
    expect(lock.lost.aborted).toBe(false);
    lock.unlock();
    // Whatever was under way: it was not lost.
    await turn();
    expect(lock.lost.aborted).toBe(false);
  });

  test('a run that was stopped for so long sees that another one has it before it writes, and soon in any case', async () => {
    for (const renewMs of [600_000, 10]) {
      const lock = await lockFolder(folder, { times: { ...times, renewMs } });
      rmSync(lock.path);
      if (renewMs === 10) await expect.poll(() => lock.lost.aborted).toBe(true);
      expect(() => lock.check()).toThrow(/^another run has taken this model over/);
      expect(lock.lost.aborted).toBe(true);
      lock.unlock();
    }
  });
});

test.each(['here', 'elsewhere'])(
  'of many processes that come at once, time and again behind dead ones %s, no two have it',
  async (place) => {
    const [count, rounds] = place === 'here' ? [6, 40] : [4, 4];
    const racers = Array.from({ length: count }, () =>
      run(process.execPath, [RACER, 'lock', folder, `${rounds}`, place]),
    );
    const twice = (await Promise.all(racers)).map(({ stdout }) => stdout);
    expect(twice).toEqual(Array(count).fill('0'));
  },
);

test('work is done one after the other, and what is renamed from the lock is there and unlocked', async () => {
  let inside = 0;
  const all = Array.from({ length: 8 }, async () => {
    await whileLocked(folder, 'busy-', async (own) => {
      expect(++inside).toBe(1);
      await turn();
      inside -= 1;
      writeFileSync(own, 'done');
    });
  });
  await Promise.all(all);
  await expect(
    whileLocked(folder, 'busy-', async () => {
      throw new Error('broken');
    }),
  ).rejects.toThrow('broken');
  expect(readdirSync(folder)).toEqual([]);
});

test('work goes on behind what a container has left, and what was taken over is written nowhere', async () => {
  const left = basename(await leave(ELSEWHERE));
  writeFileSync(join(folder, left.replace('lock-', 'busy-')), '');
  await whileLocked(folder, 'busy-', async () => undefined, times);
  expect(readdirSync(folder).filter((name) => name.startsWith('busy-'))).toEqual([]);
  const stopped = whileLocked(folder, 'busy-', async (own) => {
    // As whoever takes over does it.
    rmSync(own);
    await writeFile(own, 'late', { flag: 'r+' });
  });
  await expect(stopped).rejects.toThrow(/^another process has taken over what was written in /);
  expect(readdirSync(folder).filter((name) => name.startsWith('busy-'))).toEqual([]);
});
