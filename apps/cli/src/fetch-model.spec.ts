/** Fetching models from a real server on this machine, which misbehaves on demand. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { AllowList } from '@shoal/network';
import { PATIENCE } from '@shoal/sources';
import { UserError } from '@shoal/tools/user-error';
import { Header } from 'tar';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fetchModel } from './fetch-model.js';

/** Asked for first: what tells how long the file is. */
const HEAD = 'bytes=0-0';

type Respond = (request: IncomingMessage, response: ServerResponse) => void;

let folder: string;
let to: string;
let url: string;
let stop: () => Promise<void>;
/** One for each request; the last one answers all that follow. */
let answers: Respond[];
const ranges: (string | undefined)[] = [];
const pauses: number[] = [];
const said: string[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-fetch-'));
  to = join(folder, 'models/small/1');
  for (const log of [ranges, pauses, said]) log.length = 0;
  const server = createServer((request, response) => {
    ranges.push(request.headers.range);
    (answers.length > 1 ? answers.shift() : answers[0])?.(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/small.tar.gz?signature=canary`;
  stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  };
});
afterEach(async () => {
  await stop();
  rmSync(folder, { recursive: true });
});

interface Entry {
  readonly path: string;
  readonly text?: string;
  readonly type?: 'File' | 'Directory' | 'SymbolicLink' | 'Link' | 'CharacterDevice';
  readonly linkpath?: string;
  readonly mode?: number;
}

/** A .tar with just these entries, harmful ones too. */
function tarOf(entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap(({ path, text = '', type = 'File', linkpath, mode = 0o600 }) => {
    const header = new Header({
      path,
      type,
      mode,
      size: text.length,
      mtime: new Date(0),
      ...(linkpath && { linkpath }),
    });
    const block = Buffer.alloc(512);
    header.encode(block, 0);
    const body = Buffer.alloc(Math.ceil(text.length / 512) * 512);
    body.write(text);
    return [block, body];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

const MODEL: readonly Entry[] = [
  { path: './', type: 'Directory' },
  { path: './config.json', text: '{}' },
  { path: './onnx/model.onnx', text: 'graph'.repeat(5000), mode: 0o4777 },
];
const GOOD = gzipSync(tarOf(MODEL), { level: 0 });
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** Serves all of it, or the part that was asked for. */
const serving =
  (bytes: Buffer): Respond =>
  ({ headers: { range } }, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    const part = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
    response.writeHead(range ? 206 : 200, { 'content-length': bytes.length - start, ...(range && part) });
    response.end(bytes.subarray(start));
  };
/** Promises everything and breaks off after a part. */
const breaking =
  (bytes: Buffer, after: number): Respond =>
  ({ headers: { range } }, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    const part = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
    response.writeHead(range ? 206 : 200, { 'content-length': bytes.length - start, ...(range && part) });
    response.write(bytes.subarray(start, start + after));
    // What has arrived and not been read is lost with the connection, and how much that is is chance.
    const archive = join(folder, 'models/small/..1.archive.part');
    const arrived = setInterval(() => {
      if ((statSync(archive, { throwIfNoEntry: false })?.size ?? 0) < start + after) return;
      clearInterval(arrived);
      response.destroy();
    }, 1).unref();
  };
const status =
  (code: number): Respond =>
  (_, response) =>
    response.writeHead(code).end('no');

function fetchIt(wanted = sha256(GOOD), maxBytes = 1_000_000): Promise<void> {
  return fetchModel(
    { url, sha256: wanted, to, maxBytes },
    {
      say: (line) => void said.push(line),
      signal: new AbortController().signal,
      allow: new AllowList([]),
      patience: { ...PATIENCE, sleep: async (ms) => void pauses.push(ms) },
    },
  );
}

/** The message; neither the folder nor anything that looks like a model may be there. */
async function refused(wanted?: string, maxBytes?: number): Promise<string> {
  const error = await fetchIt(wanted, maxBytes).then(
    () => new Error('it was accepted'),
    (thrown: Error) => thrown,
  );
  expect(error).toBeInstanceOf(UserError);
  expect(existsSync(to)).toBe(false);
  // A folder stays only around a download to go on with.
  const left = existsSync(join(folder, 'models/small')) ? readdirSync(join(folder, 'models/small')) : [];
  expect(left.filter((name) => name !== '..1.archive.part')).toEqual([]);
  if (left.length === 0) expect(readdirSync(folder)).toEqual([]);
  expect(error.message).not.toContain('canary');
  return error.message;
}

describe('an archive that is what was asked for', () => {
  test('is unpacked into the folder, readable by all and without its special modes; nothing else stays but its hash', async () => {
    answers = [serving(GOOD)];
    await fetchIt();
    expect(readFileSync(join(to, 'config.json'), 'utf8')).toBe('{}');
    expect(statSync(join(to, 'onnx/model.onnx')).mode & 0o7777).toBe(0o644);
    expect(statSync(join(to, 'onnx/model.onnx')).size).toBe(25_000);
    expect(readdirSync(join(folder, 'models/small')).toSorted()).toEqual(['.1.sha256', '1']);
    expect(said.join()).not.toContain('canary');
  });

  test('may be a plain tar', async () => {
    const plain = tarOf(MODEL);
    answers = [serving(plain)];
    await fetchIt(sha256(plain));
    expect(readFileSync(join(to, 'config.json'), 'utf8')).toBe('{}');
  });

  test('is not fetched again', async () => {
    answers = [serving(GOOD)];
    await fetchIt();
    ranges.length = 0;
    await fetchIt();
    expect(ranges).toEqual([]);
  });

  test('does not replace a folder that came from elsewhere', async () => {
    mkdirSync(to, { recursive: true });
    writeFileSync(join(to, 'mine'), '');
    await expect(fetchIt()).rejects.toThrow(`${to} is there and came from elsewhere`);
    expect(readdirSync(to)).toEqual(['mine']);
  });
});

describe('a download that is cut off', () => {
  test('goes on where it was, after longer and longer pauses', async () => {
    answers = [serving(GOOD), breaking(GOOD, 1000), status(503), breaking(GOOD, 500), serving(GOOD)];
    await fetchIt();
    expect(ranges).toEqual([HEAD, undefined, 'bytes=1000-', 'bytes=1000-', 'bytes=1500-']);
    expect(pauses).toEqual([1000, 2000, 4000]);
    expect(said[1]).toMatch(/small\.tar\.gz answers 503; again in 2 s$/);
  });

  test('goes on with what an earlier process left', async () => {
    mkdirSync(join(folder, 'models/small'), { recursive: true });
    writeFileSync(join(folder, 'models/small/..1.archive.part'), GOOD.subarray(0, 700));
    answers = [serving(GOOD)];
    await fetchIt();
    expect(ranges).toEqual([HEAD, 'bytes=700-']);
  });

  test('starts anew where the pieces do not fit together', async () => {
    mkdirSync(join(folder, 'models/small'), { recursive: true });
    writeFileSync(join(folder, 'models/small/..1.archive.part'), 'of another file');
    answers = [serving(GOOD)];
    await fetchIt();
    expect(ranges).toEqual([HEAD, 'bytes=15-', undefined]);
  });

  test('takes nothing on trust that was whole before and is of another hash', async () => {
    mkdirSync(join(folder, 'models/small'), { recursive: true });
    writeFileSync(join(folder, 'models/small/.1.archive'), Buffer.alloc(GOOD.length));
    answers = [serving(GOOD)];
    await fetchIt();
    expect(readFileSync(join(to, 'config.json'), 'utf8')).toBe('{}');
  });

  test('is given up where its pieces never fit together, however often the connection breaks', async () => {
    let other = 0;
    answers = [
      (request, response) => {
        const bytes = Buffer.alloc(GOOD.length, ++other);
        if (request.headers.range === HEAD) serving(bytes)(request, response);
        else breaking(bytes, 9000)(request, response);
      },
    ];
    expect(await refused()).toMatch(/is not what was announced: its SHA-256 is [0-9a-f]{64}, and not [0-9a-f]{64}\.$/);
  });

  test('starts anew where the server knows no parts', async () => {
    answers = [serving(GOOD), breaking(GOOD, 1000), (_, response) => response.writeHead(200).end(GOOD)];
    await fetchIt();
    expect(existsSync(to)).toBe(true);
  });

  test('ends with what is wrong after six tries', async () => {
    answers = [status(502)];
    expect(await refused()).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/small\.tar\.gz answers 502; gave up after 6 tries\.$/);
    expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000]);
  });

  test('a server that is not there is told like that', async () => {
    answers = [];
    await stop();
    expect(await refused()).toMatch(/cannot be reached \(connection refused\); gave up after 6 tries\.$/);
  });
});

describe('is refused, and nothing is there:', () => {
  test('an archive with another hash', async () => {
    answers = [serving(GOOD)];
    expect(await refused('0'.repeat(64))).toMatch(
      /is not what was announced: its SHA-256 is [0-9a-f]{64}, and not 0{64}\.$/,
    );
    expect(ranges).toEqual([HEAD, undefined]);
  });

  test('what is not there, at once', async () => {
    answers = [status(404)];
    expect(await refused()).toMatch(/small\.tar\.gz answers 404: there is nothing there\.$/);
    expect(pauses).toEqual([]);
  });

  test('a host that there is not, at once', async () => {
    url = 'http://shoal.invalid/small.tar.gz?signature=canary';
    expect(await refused()).toBe('http://shoal.invalid/small.tar.gz: there is no host shoal.invalid.');
    expect(pauses).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a redirect into a private network, at once', async () => {
    answers = [(_, response) => response.writeHead(302, { location: 'https://169.254.169.254/latest/canary' }).end()];
    url = url.replace('canary', 'x');
    const error = await fetchIt().catch((thrown: Error) => thrown.message);
    expect(error).toMatch(/is redirected to, and is not on the public internet; .*SHOAL_SOURCE_ALLOW=/);
    expect(pauses).toEqual([]);
  });

  test('what comes over http:// from the public internet, at once', async () => {
    url = 'http://8.8.8.8/small.tar.gz?signature=canary';
    expect(await refused()).toMatch(/over http:\/\/ anyone on the way can change what comes; use https:\/\/\.$/);
  });

  test('more bytes than may be, announced or not', async () => {
    answers = [serving(GOOD)];
    expect(await refused(undefined, 1000)).toMatch(/has \d+ (bytes|kB), and --max-size allows 1000 bytes\.$/);
    answers = [(_, response) => response.writeHead(200).end(GOOD)];
    expect(await refused()).toMatch(/does not say how long it is\.$/);
    answers = [serving(GOOD), (_, response) => response.writeHead(200).end(Buffer.concat([GOOD, GOOD]))];
    expect(await refused()).toMatch(/is longer than the \d+ bytes that were announced\.$/);
  });

  test('an archive that unpacks to more than may be', async () => {
    const bomb = gzipSync(tarOf([{ path: 'model.onnx', text: '0'.repeat(3_000_000) }]));
    answers = [serving(bomb)];
    expect(await refused(sha256(bomb))).toMatch(/^the archive holds more than --max-size leaves \(\d+ bytes\)\.$/);
  });

  test.each<[string, Entry, RegExp]>([
    ['a path upwards', { path: '../other/1/model.onnx' }, /leads out of it: "\.\.\/other/],
    ['a path upwards, on the way', { path: 'onnx/../../model.onnx' }, /leads out of it/],
    ['an absolute path', { path: '/etc/model.onnx' }, /leads out of it: "\/etc/],
    ['a path of Windows', { path: 'C:\\model.onnx' }, /leads out of it/],
    [
      'a symbolic link',
      { path: 'x', type: 'SymbolicLink', linkpath: '/etc' },
      /files and folders only; "x" is of type SymbolicLink/,
    ],
    ['a hard link', { path: 'x', type: 'Link', linkpath: 'config.json' }, /is of type Link/],
    ['a device', { path: 'x', type: 'CharacterDevice' }, /is of type CharacterDevice/],
  ])('%s', async (_, entry, message) => {
    const archive = gzipSync(tarOf([...MODEL, entry]));
    answers = [serving(archive)];
    expect(await refused(sha256(archive))).toMatch(message);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('what is no archive, one that is cut short, and one without a model', async () => {
    const faults: [Buffer, RegExp][] = [
      [Buffer.from('hello'), /the archive/],
      [Buffer.alloc(0), /the archive/],
      [GOOD.subarray(0, 9000), /the archive cannot be read/],
      [gzipSync(tarOf(MODEL.slice(0, 2))), /holds no \.onnx file; pack the version’s folder/],
    ];
    for (const [archive, message] of faults) {
      answers = [serving(archive)];
      expect(await refused(sha256(archive))).toMatch(message);
    }
  });
});
