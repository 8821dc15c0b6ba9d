/** What only a folder can do and fail of. The rest is in contract.spec.ts. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openStore } from '../open-store.js';
import { bytesOf, chunked, diskBench, keysOf, noise, text, textOf } from '../testing/bench.js';

const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;
const refusal = (code: string, message = /./) =>
  expect.objectContaining({ name: 'ShoalError', code, message: expect.stringMatching(message) });

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-storage-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const openAt = (folder: string) => openStore(pathToFileURL(folder).href, { clock: Date.now });

test('a blob is a file by its key, which nobody else can read; folders go with their last blob', async () => {
  const { store, folder } = await diskBench();
  await store.write('t/files/a.jsonl', text('hello'));
  await store.write('t/b', text('b'));
  expect(readFileSync(join(folder, 't/files/a.jsonl'), 'utf8')).toBe('hello');
  expect(statSync(join(folder, 't/files/a.jsonl')).mode & 0o777).toBe(0o600);
  expect(statSync(join(folder, 't/files')).mode & 0o777).toBe(0o700);
  await store.remove('t/files/a.jsonl');
  expect(readdirSync(join(folder, 't'))).toEqual(['b']);
  await store.remove('t/b');
  expect(readdirSync(folder)).toEqual(['~writing']);
});

test('a folder that is not there is made, with those above it; spaces and percent signs are its own', async () => {
  const folder = join(makeFolder(), 'a b/100%/store');
  const store = await openAt(folder);
  await store.write('a', text('x'));
  expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('x');
});

test.each([
  'file://host/path',
  'file:relative',
  'file:///a?b',
  'file:///100%',
  'relative',
  '/path',
  '',
  'http://bucket/a',
  's3://',
  's3://B',
  's3://b/a/../c',
])('refuses the address %j without showing it', async (url) => {
  const refused = refusal('storage_unavailable', /^The store of files has an address that is neither/);
  await expect(openStore(url, { clock: Date.now })).rejects.toEqual(refused);
});

test('no key is the folder of another', async () => {
  const { store } = await diskBench();
  await store.write('a/b', text('x'));
  await expect(store.write('a', text('y'))).rejects.toEqual(refusal('invalid_request', /folder of other keys/));
  await expect(store.write('a/b/c', text('y'))).rejects.toEqual(refusal('invalid_request', /has a key as its folder/));
  expect([await store.size('a'), await store.size('a/b/c')]).toEqual([undefined, undefined]);
  await store.remove('a');
  await store.remove('a/b/c');
  expect(await keysOf(store)).toEqual(['a/b']);
});

describe('what killed writers left', () => {
  test('is removed at opening when it is a day old, and not sooner', async () => {
    const { folder, another, leftovers } = await diskBench(() => Date.now());
    const at = (age: number) => new Date(Date.now() - age);
    for (const [name, age] of [
      ['old', 24.1 * HOUR_MS],
      ['young', 23 * HOUR_MS],
    ] as const) {
      writeFileSync(join(folder, '~writing', name), 'x');
      utimesSync(join(folder, '~writing', name), at(age), at(age));
    }
    await another();
    expect(readdirSync(join(folder, '~writing'))).toEqual(['young']);
    expect(leftovers()).toBe(1);
  });

  test('is never a blob, nor a part of one', async () => {
    const { store, folder, leftovers } = await diskBench();
    await store.write('a', text('older'));
    const built = fileURLToPath(new URL('../../dist/index.js', import.meta.url));
    const script = `
      import { openStore } from ${JSON.stringify(built)};
      const store = await openStore(${JSON.stringify(pathToFileURL(folder).href)}, { clock: Date.now });
      await store.write('a', (async function* () {
        for (let at = 0; at < 8; at++) yield Buffer.alloc(${MIB}, 7);
        process.stdout.write('amid');
        await new Promise((resolve) => setInterval(resolve, 1e9));
      })());`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    expect(await ended).toEqual([null, 'SIGKILL']);
    expect(leftovers()).toBe(1);
    expect(await keysOf(store)).toEqual(['a']);
    expect(await textOf(store, 'a')).toBe('older');
  });

  test('writers that are killed at any time leave only whole blobs', async () => {
    const { store, folder } = await diskBench();
    const built = fileURLToPath(new URL('../../dist/index.js', import.meta.url));
    const script = `
      import { openStore } from ${JSON.stringify(built)};
      const store = await openStore(${JSON.stringify(pathToFileURL(folder).href)}, { clock: Date.now });
      for (let at = 0; ; at = (at + 1) % 26) {
        await store.write('w/' + at % 4, (async function* () {
          for (let chunk = 0; chunk < 9; chunk++) yield Buffer.alloc(100_000, 97 + at);
        })());
        if (at === 3) process.stdout.write('all');
      }`;
    for (let run = 0; run < 3; run++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(child, 'exit');
      await once(child.stdout, 'data');
      await store.size('w/0');
      child.kill('SIGKILL');
      await ended;
      expect(await keysOf(store)).toEqual(['w/0', 'w/1', 'w/2', 'w/3']);
      for (const key of await keysOf(store)) {
        const bytes = await bytesOf(await store.read(key));
        expect(bytes.equals(Buffer.alloc(900_000, bytes[0]))).toBe(true);
      }
    }
  });
});

describe('links lead nowhere:', () => {
  test('one in the place of a folder', async () => {
    const { store, folder } = await diskBench();
    const elsewhere = makeFolder();
    writeFileSync(join(elsewhere, 'secret'), 'secret');
    symlinkSync(elsewhere, join(folder, 'out'));
    const refused = refusal('storage_unavailable', /has a link/);
    await expect(store.read('out/secret')).rejects.toEqual(refused);
    await expect(store.size('out/secret')).rejects.toEqual(refused);
    await expect(store.remove('out/secret')).rejects.toEqual(refused);
    await expect(store.write('out/secret', text('x'))).rejects.toEqual(refused);
    await expect(store.write('out/more/secret', text('x'))).rejects.toEqual(refused);
    await expect(keysOf(store, 'out/')).rejects.toEqual(refused);
    expect(await keysOf(store)).toEqual([]);
    expect(readdirSync(elsewhere)).toEqual(['secret']);
    expect(readFileSync(join(elsewhere, 'secret'), 'utf8')).toBe('secret');
  });

  test('one in the place of a blob, which is replaced', async () => {
    const { store, folder } = await diskBench();
    const elsewhere = join(makeFolder(), 'secret');
    writeFileSync(elsewhere, 'secret');
    symlinkSync(elsewhere, join(folder, 'a'));
    await expect(store.read('a')).rejects.toEqual(refusal('storage_unavailable', /has a link/));
    expect(await keysOf(store)).toEqual([]);
    await store.write('a', text('ours'));
    expect(lstatSync(join(folder, 'a')).isFile()).toBe(true);
    expect(readFileSync(elsewhere, 'utf8')).toBe('secret');
  });

  test('one that comes between looking and reading', async () => {
    const { store, folder } = await diskBench();
    await store.write('a', text('ours'));
    const reading = await store.read('a');
    const elsewhere = join(makeFolder(), 'secret');
    renameSync(join(folder, 'a'), elsewhere);
    symlinkSync(elsewhere, join(folder, 'a'));
    await expect(bytesOf(reading)).rejects.toEqual(refusal('storage_unavailable', /ELOOP/));
  });

  test('what is no file is not waited for', async () => {
    const { store, folder } = await diskBench();
    expect(spawnSync('mkfifo', [join(folder, 'a')]).status).toBe(0);
    await expect(store.read('a')).rejects.toEqual(refusal('storage_unavailable', /no file/));
    expect(await keysOf(store)).toEqual([]);
  });
});

describe('a folder that cannot be used is told as such:', () => {
  const refused = refusal('storage_unavailable', /^The store of files has .*\((ENOENT|ENOTDIR)\)\.$/);

  test('one that is gone, which is not made again', async () => {
    const { store, folder } = await diskBench();
    await store.write('a/b', text('x'));
    rmSync(folder, { recursive: true });
    await expect(store.check()).rejects.toEqual(refused);
    await expect(store.read('a/b')).rejects.toEqual(refused);
    await expect(store.size('a/b')).rejects.toEqual(refused);
    await expect(store.remove('a/b')).rejects.toEqual(refused);
    await expect(store.write('a/b', text('x'))).rejects.toEqual(refused);
    await expect(keysOf(store)).rejects.toEqual(refused);
    expect(existsSync(folder)).toBe(false);
  });

  test('a disk that is not mounted any more, whose empty folder is there', async () => {
    const { store, folder } = await diskBench();
    await store.write('a/b', text('x'));
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    await expect(store.check()).rejects.toEqual(refused);
    await expect(store.size('a/b')).rejects.toEqual(refused);
    for (const prefix of ['', 'a/', 'a/b']) await expect(keysOf(store, prefix)).rejects.toEqual(refused);
    await expect(store.write('a/b', text('x'))).rejects.toEqual(refused);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('one in whose place a file is', async () => {
    const path = join(makeFolder(), 'file');
    writeFileSync(path, 'x');
    await expect(openAt(path)).rejects.toEqual(refused);
    await expect(openAt(join(path, 'below'))).rejects.toEqual(refused);
  });

  test('its words name no path, the cause does', async () => {
    const { store, folder } = await diskBench();
    rmSync(folder, { recursive: true });
    const error = await store.check().catch((thrown: Error) => thrown);
    expect(error).toHaveProperty('message', expect.not.stringContaining(folder));
    expect(error).toHaveProperty('cause.message', expect.stringContaining(folder));
  });
});

describe('on a disk of its own of 4 MiB', () => {
  /** Undefined where this machine lets nobody mount one. */
  function mountDisk(): string | undefined {
    const folder = makeFolder();
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder]);
    if (mounted.status !== 0) return undefined;
    onTestFinished(() => void spawnSync('umount', ['-l', folder]));
    return folder;
  }
  const NEEDS = 'mounting a tmpfs needs root on Linux';

  test('a write that fills it fails alone and leaves its room', async ({ skip }) => {
    const folder = mountDisk() ?? skip(NEEDS);
    const store = await openAt(folder);
    await store.write('kept', chunked(noise(MIB)));
    await expect(store.write('large', chunked(noise(6 * MIB), 10_000))).rejects.toEqual(
      refusal('storage_full', /^The store of files has no more room \(ENOSPC\)\.$/),
    );
    expect(await keysOf(store)).toEqual(['kept']);
    expect(readdirSync(join(folder, '~writing'))).toEqual([]);
    await store.check();
    await store.write('fits', chunked(noise(2 * MIB)));
    expect((await bytesOf(await store.read('kept'))).equals(noise(MIB))).toBe(true);
  });

  test('a full one is told by the check, and is read and emptied all the same', async ({ skip }) => {
    const folder = mountDisk() ?? skip(NEEDS);
    const store = await openAt(folder);
    await store.write('kept', text('x'));
    try {
      writeFileSync(join(folder, 'foreign~'), noise(5 * MIB));
    } catch {
      // It is full now.
    }
    await expect(store.check()).rejects.toEqual(refusal('storage_full'));
    expect(await textOf(store, 'kept')).toBe('x');
    await store.remove('kept');
    expect(await keysOf(store)).toEqual([]);
  });

  test('one that can only be read is read', async ({ skip }) => {
    const folder = mountDisk() ?? skip(NEEDS);
    const store = await openAt(folder);
    await store.write('kept', text('x'));
    expect(spawnSync('mount', ['-o', 'remount,ro', folder]).status).toBe(0);
    const refused = refusal('storage_unavailable', /has a folder that can only be read \(EROFS\)/);
    await expect(store.check()).rejects.toEqual(refused);
    await expect(store.write('a', text('x'))).rejects.toEqual(refused);
    await expect(store.remove('kept')).rejects.toEqual(refused);
    expect(await textOf(store, 'kept')).toBe('x');
    await expect(openAt(join(folder, 'below'))).rejects.toEqual(refused);
  });
});
