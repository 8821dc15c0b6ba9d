/** A lock has one holder at a time, however many come at once and whatever dead processes have left. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockFolder, whileLocked } from './lock.js';

/** Compiled: other processes run it. */
const RACER = fileURLToPath(new URL('../../dist/testing/racer.js', import.meta.url));
const run = promisify(execFile);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A file as a holder leaves it; `changes` to this process's own. */
async function leave(changes: {
  readonly pid?: number;
  readonly started?: string;
  readonly namespace?: string;
  readonly host?: string;
}) {
  const unlock = await lockFolder(folder);
  const [own = ''] = readdirSync(folder);
  unlock();
  const [, ownPid, ownStart, token, ownSpace] = own.split('-');
  const { pid = ownPid, started = ownStart, namespace = ownSpace, host = hostname() } = changes;
  writeFileSync(join(folder, `lock-${pid}-${started}-${token}-${namespace}-${host}`), '');
}

test('a folder is had by one at a time, and given back', async () => {
  const unlock = await lockFolder(folder);
  await expect(lockFolder(folder)).rejects.toThrow(
    `is being optimised by process ${process.pid}: wait for it, or stop it`,
  );
  unlock();
  expect(readdirSync(folder)).toEqual([]);
  (await lockFolder(folder))();
});

test('what a process left that is there no more is in nobody’s way, and is removed', async () => {
  await leave({ pid: 2 ** 22 + 7 });
  // The number may be another process's by now: when it began tells.
  await leave({ pid: process.ppid, started: '1' });
  writeFileSync(join(folder, 'lock-of-another-kind'), '');
  const unlock = await lockFolder(folder);
  expect(readdirSync(folder).filter((name) => name !== 'lock-of-another-kind')).toHaveLength(1);
  unlock();
});

test('it is left to another machine, which nobody here can see', async () => {
  await leave({ host: 'elsewhere.example', pid: 1, started: '1' });
  await expect(lockFolder(folder)).rejects.toThrow(/on elsewhere\.example; where nothing runs there: rm .*lock-1-1-/);
});

test('it is left to another container of the same name, whose processes have numbers of their own', async () => {
  await leave({ namespace: '7', pid: 2 ** 22 + 7, started: '1' });
  await expect(lockFolder(folder)).rejects.toThrow(
    /in another container that is called .*; where .*: rm .*lock-4194311-1-/,
  );
  expect(readdirSync(folder)).toHaveLength(1);
});

test('of many processes that come at once, time and again behind dead ones, no two have it', async () => {
  const racers = Array.from({ length: 6 }, () => run(process.execPath, [RACER, 'lock', folder, '40']));
  const twice = (await Promise.all(racers)).map(({ stdout }) => stdout);
  expect(twice).toEqual(Array(6).fill('0'));
});

test('work is done one after the other, and what is renamed from the lock is there and unlocked', async () => {
  let inside = 0;
  const all = Array.from({ length: 8 }, async () => {
    await whileLocked(folder, 'busy-', async (own) => {
      expect(++inside).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
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
