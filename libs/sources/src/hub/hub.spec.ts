import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { basename, join } from 'node:path';
import { AllowList } from '@shoal/network';
import { describe, expect, onTestFinished, test } from 'vitest';
import { listen } from '../testing/listen.js';
import { filesBelow, openBench } from '../testing/pulling.js';
import { serveBytes } from '../testing/serve-bytes.js';
import { bytes, NEEDED, serve, WEIGHTS, withToken } from '../testing/tiny-hub.js';

const { bench, pullIt, refusal } = openBench();

const visible = (folder: string) =>
  readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .sort();

describe('a model of the hub', () => {
  test('is there with the files that are needed, pinned to its commit', async () => {
    const { hub, settings } = await serve();
    const { folder, path, origin, isNew } = await pullIt('hf:org/tiny', settings);
    expect(visible(folder)).toEqual(NEEDED);
    expect(readFileSync(join(folder, 'model.safetensors')).equals(WEIGHTS)).toBe(true);
    expect([path, origin, isNew]).toEqual([folder, `hf:org/tiny@${hub.commitOf('org/tiny')}`, true]);
    expect(basename(folder)).toBe('tiny');
    expect(hub.asked.filter((request) => /py$|bin$|README/.test(request.path))).toEqual([]);
    expect(bench.progress.at(-1)).toMatchObject({ done: 3_000_024, total: 3_000_024 });
  });

  test('is not fetched again where its files are the same', async () => {
    const { hub, settings } = await serve();
    const first = await pullIt('hf:org/tiny', settings);
    hub.asked.length = 0;
    const second = await pullIt('hf:org/tiny@main', settings);
    expect(second).toEqual({ ...first, isNew: false });
    expect(hub.asked.every((request) => request.path.startsWith('/api/'))).toBe(true);
  });

  test('may be named by a revision, a file in a folder, a quantisation, a page', async () => {
    const files = { 'config.json': bytes('{}'), 'q/a-Q4_K_M.gguf': bytes('four'), 'q/a-Q8_0.gguf': bytes('eight') };
    const { hub, settings } = await serve({ files, revisions: ['v1', 'refs/pr/2'] });
    for (const source of [
      'hf:org/tiny@v1/q/a-Q8_0.gguf',
      'hf:org/tiny@refs/pr/2/q/q8_0',
      `${hub.url}/org/tiny/blob/v1/q/a-Q8_0.gguf`,
      `${hub.url}/org/tiny/resolve/main/q/a-Q8_0.gguf`,
    ]) {
      const { folder, path } = await pullIt(source, settings);
      expect(visible(folder), source).toEqual(['a-Q8_0.gguf']);
      expect(readFileSync(path, 'utf8')).toBe('eight');
    }
  });

  test('with several quantisations is refused with a list of them, the smallest first', async () => {
    const files = {
      'b-Q8_0.gguf': Buffer.alloc(2_000_000),
      'b-Q4_K_M.gguf': Buffer.alloc(1_000_000),
      'mmproj-b.gguf': bytes('x'),
    };
    const { settings } = await serve({ files });
    expect(await refusal('hf:org/tiny', settings)).toBe(
      'hf:org/tiny holds 2 GGUF files; name the one to take:\n  hf:org/tiny/Q4_K_M    1.0 MB\n  hf:org/tiny/Q8_0      2.0 MB',
    );
    expect(await refusal('hf:org/tiny/Q5_0', settings)).toMatch(
      /^hf:org\/tiny has no Q5_0; it has:\n {2}hf:org\/tiny\/Q4_K_M/,
    );
  });

  test('comes with all of its pages and of its shards', async () => {
    const shards = Object.fromEntries(
      [1, 2, 3].map((n) => [`model-0000${n}-of-00003.safetensors`, bytes(`shard ${n}`)]),
    );
    const files = {
      ...shards,
      'config.json': bytes('{}'),
      'model.safetensors.index.json': bytes('{}'),
      'consolidated.safetensors': WEIGHTS,
    };
    const { settings } = await serve({ files }, { pageSize: 2 });
    const { folder } = await pullIt('hf:org/tiny', settings);
    expect(visible(folder)).toEqual(['config.json', ...Object.keys(shards), 'model.safetensors.index.json'].sort());
  });

  test('gets its token at the hub alone, not where its files lie', async () => {
    const cdn = await listen((request, response) => serveBytes(request, response, { bytes: WEIGHTS, etag: '"w"' }));
    onTestFinished(() => cdn.close());
    const { hub } = await serve({ token: 'canary' }, { files: cdn.url });
    const allow = new AllowList([`127.0.0.1/32:${cdn.port}`]);
    await pullIt('hf:org/tiny', { ...withToken(hub.url, 'canary'), allow });
    expect(hub.asked.every(({ headers }) => headers.authorization === 'Bearer canary')).toBe(true);
    expect(cdn.asked.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });
});

test('files that are called as the parts of others are files of their own', async () => {
  const files = {
    'config.json': Buffer.from('{}'),
    'model.onnx': Buffer.alloc(1000, 1),
    'model.onnx_data': Buffer.alloc(300_000, 2),
    'model.onnx_data.part': Buffer.alloc(200_000, 3),
  };
  const { settings } = await serve({ files });
  const { folder } = await pullIt('hf:org/tiny', settings);
  expect(readdirSync(folder).sort()).toEqual(['.pulled.json', ...Object.keys(files)]);
  for (const [name, bytes] of Object.entries(files)) expect(readFileSync(join(folder, name)).equals(bytes)).toBe(true);
});

describe('a pull that was stopped', () => {
  test('goes on where it was, with what an earlier process has left', async () => {
    const { hub, settings } = await serve();
    const stop = new AbortController();
    const onProgress = ({ done }: { readonly done: number }) => {
      if (done > 1_000_000) stop.abort(new Error('Ctrl-C'));
    };
    await expect(pullIt('hf:org/tiny', { ...settings, signal: stop.signal, onProgress })).rejects.toThrow('Ctrl-C');
    const left = filesBelow(join(bench.folder, 'pulled'));
    const part = Object.keys(left).filter((name) => name.endsWith('model.safetensors.part'));
    expect(part).toHaveLength(1);
    const size = left[part[0]!]!.length;
    expect(size).toBeGreaterThan(1_000_000);
    hub.asked.length = 0;
    const { folder } = await pullIt('hf:org/tiny', settings);
    const blob = hub.asked.filter((request) => request.path.startsWith('/blobs/'));
    expect(blob.map(({ headers }) => headers.range)).toEqual([`bytes=${size}-`]);
    expect(readFileSync(join(folder, 'model.safetensors')).equals(WEIGHTS)).toBe(true);
    expect(readdirSync(join(folder, '..')).filter((name) => name.endsWith('.partial'))).toEqual([]);
  });

  test('starts a file anew whose beginning is of something else', async () => {
    const { settings } = await serve();
    const stop = new AbortController();
    const onProgress = ({ done }: { readonly done: number }) => done > 1_000_000 && stop.abort(new Error('Ctrl-C'));
    await pullIt('hf:org/tiny', { ...settings, signal: stop.signal, onProgress }).catch(() => undefined);
    const [part] = Object.keys(filesBelow(join(bench.folder, 'pulled'))).filter((name) => name.endsWith('.part'));
    writeFileSync(join(bench.folder, 'pulled', part!), Buffer.alloc(50_000, 'x'));
    const { folder } = await pullIt('hf:org/tiny', settings);
    expect(readFileSync(join(folder, 'model.safetensors')).equals(WEIGHTS)).toBe(true);
    expect(bench.said).toContain(
      '  hf:org/tiny/model.safetensors is fetched from its beginning: what was here is of other contents',
    );
  });

  test('is told of by a second one at the same time, which does not touch it', async () => {
    const { hub, settings } = await serve();
    let second: Promise<string> | undefined;
    let answered: (() => void) | undefined;
    hub.intercept = (request, response) => {
      if (!request.url?.startsWith('/blobs/') || answered) return false;
      answered = () => serveBytes(request, response, { bytes: WEIGHTS });
      second = refusal('hf:org/tiny', settings);
      void second.then(answered);
      return true;
    };
    const { folder } = await pullIt('hf:org/tiny', settings);
    expect(await second).toMatch(/\.partial is being pulled by another process: wait for its end\.$/);
    expect(readFileSync(join(folder, 'model.safetensors')).equals(WEIGHTS)).toBe(true);
  });
});

describe('a hub that is not itself', () => {
  /** Spoils the first `times` answers for the weights. */
  const spoil = (times: number, answer: (response: ServerResponse) => void) => {
    let left = times;
    return (request: { url?: string | undefined }, response: ServerResponse) => {
      if (!request.url?.startsWith('/blobs/') || left-- <= 0) return false;
      answer(response);
      return true;
    };
  };

  test('is asked again, after longer and longer pauses or the one that it asks for', async () => {
    const { hub, settings } = await serve();
    let n = 0;
    hub.intercept = spoil(3, (response) => {
      n++;
      if (n === 1) response.writeHead(503).end();
      else if (n === 2) response.writeHead(429, { 'retry-after': '7' }).end();
      else response.destroy();
    });
    await pullIt('hf:org/tiny', settings);
    expect(bench.pauses).toEqual([1000, 7000, 4000]);
    expect(bench.said.filter((line) => line.includes('again in'))[1]).toBe(
      'hf:org/tiny/model.safetensors answers 429; again in 7 s',
    );
  });

  test('that goes on failing is given up, in one line', async () => {
    const { hub, settings } = await serve();
    hub.intercept = spoil(99, (response) => void response.writeHead(502).end());
    expect(await refusal('hf:org/tiny', settings)).toBe(
      'hf:org/tiny/model.safetensors answers 502; gave up after 6 tries.',
    );
    expect(bench.pauses).toEqual([1000, 2000, 4000, 8000, 16_000]);
  });

  test('that breaks off goes on, each time from where it was', async () => {
    const { hub, settings } = await serve();
    hub.intercept = spoil(2, (response) => {
      response.writeHead(200, { 'content-length': WEIGHTS.length });
      response.write(WEIGHTS.subarray(0, 1000), () => response.destroy());
    });
    const { folder } = await pullIt('hf:org/tiny', settings);
    expect(readFileSync(join(folder, 'model.safetensors')).equals(WEIGHTS)).toBe(true);
  });

  test('that stalls, or trickles, or never answers, is not waited for', async () => {
    const { hub, settings } = await serve();
    const impatient = { ...settings, headMs: 200, stallMs: 100, stallBytes: 1000 };
    hub.intercept = spoil(99, (response) => {
      response.writeHead(200, { 'content-length': WEIGHTS.length });
      response.write('x');
    });
    expect(await refusal('hf:org/tiny', impatient)).toMatch(/stalled for 0.1 s; gave up after 6 tries\.$/);
    hub.intercept = spoil(99, () => undefined);
    expect(await refusal('hf:org/tiny', impatient)).toMatch(/does not answer within 0.2 s; gave up after 6 tries\.$/);
  });

  test('whose list drips is not waited for', async () => {
    const { hub, settings } = await serve();
    hub.intercept = (_, response) => {
      const dripping = setInterval(() => response.write(' '), 10);
      response.on('close', () => clearInterval(dripping));
      return true;
    };
    expect(await refusal('hf:org/tiny', { ...settings, headMs: 50 })).toMatch(/does not end its answer within 1 s\.$/);
  });

  test.each<[string, (response: ServerResponse) => void, RegExp]>([
    [
      'other bytes',
      (response) => void response.end(Buffer.alloc(WEIGHTS.length)),
      /is not what was announced: its SHA-256 is [0-9a-f]{64}, and not [0-9a-f]{64}\.$/,
    ],
    [
      'more bytes',
      (response) => void response.end(Buffer.concat([WEIGHTS, WEIGHTS])),
      /has 6000000 bytes, and 3000000 were announced\.$/,
    ],
    [
      'more bytes that it does not announce',
      (response) =>
        void response.writeHead(200, { 'transfer-encoding': 'chunked' }).end(Buffer.concat([WEIGHTS, WEIGHTS])),
      /is longer than the 3000000 bytes that were announced\.$/,
    ],
    ['fewer bytes', (response) => void response.end(bytes('short')), /has 5 bytes, and 3000000 were announced\.$/],
    [
      'an encoding',
      (response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
      /comes in an encoding \(gzip\)/,
    ],
  ])('that answers with %s is refused, and nothing is there', async (_, answer, message) => {
    const { hub, settings } = await serve();
    hub.intercept = spoil(99, answer);
    expect(await refusal('hf:org/tiny', settings)).toMatch(message);
    const left = Object.keys(filesBelow(bench.folder));
    expect(left.filter((name) => !name.includes('.partial/'))).toEqual([]);
    expect(left.filter((name) => name.includes('model.safetensors'))).toEqual([]);
  });

  test('of a small file its git blob is checked', async () => {
    const { hub, settings } = await serve();
    hub.intercept = (request, response) => {
      if (!request.url?.endsWith('/config.json')) return false;
      response.end('{"model_type":"other"}');
      return true;
    };
    expect(await refusal('hf:org/tiny', settings)).toMatch(
      /config\.json is not what was announced: its git blob SHA-1 is [0-9a-f]{40}, and not [0-9a-f]{40}\./,
    );
  });

  test('whose answers are none of a hub is told like that', async () => {
    const { hub, settings } = await serve();
    for (const [answer, message] of [
      ['<html>', /does not answer as a hub does; gave up after 6 tries/],
      ['{}', /does not answer as a hub does \(sha\)/],
      ['[]', /does not answer as a hub does/],
      ['null', /does not answer as a hub does/],
    ] as const) {
      hub.intercept = (_, response) => {
        response.end(answer);
        return true;
      };
      expect(await refusal('hf:org/tiny', settings), answer).toMatch(message);
    }
  });

  test('that never ends its list is left', async () => {
    const { hub, settings } = await serve();
    hub.intercept = (request, response) => {
      if (!request.url?.includes('/tree/')) return false;
      response.writeHead(200, { link: `<${hub.url}${request.url}>; rel="next"` }).end('[]');
      return true;
    };
    expect(await refusal('hf:org/tiny', settings)).toBe('hf:org/tiny has more files than any model has.');
  });
});
