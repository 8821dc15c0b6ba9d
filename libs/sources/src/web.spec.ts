/** Pulling from a web server that knows nothing of models, on this machine. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type LocalServer, listen } from './testing/listen.js';
import { filesBelow, openBench } from './testing/pulling.js';
import { type ServedFile, serveBytes } from './testing/serve-bytes.js';

const { bench, pullIt, refusal } = openBench();

const GGUF = Buffer.alloc(400_000, 3);
const SHA256 = createHash('sha256').update(GGUF).digest('hex');

async function serve(files: Readonly<Record<string, ServedFile>>) {
  const server = await listen((request, response) => {
    const file = files[new URL(request.url!, 'http://a').pathname];
    if (file === undefined) response.writeHead(404).end();
    else serveBytes(request, response, file);
  });
  onTestFinished(() => server.close());
  return server;
}

const visible = (folder: string) =>
  readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .sort();

describe('a file by its URL', () => {
  test('is there, checked by the hash that was given, its query told to nobody', async () => {
    const server = await serve({ '/a/tiny-q8_0.gguf': { bytes: GGUF, etag: '"v1"' } });
    const url = `${server.url}/a/tiny-q8_0.gguf?signature=canary`;
    const { path, folder, origin } = await pullIt(url, {}, { sha256: SHA256 });
    expect(readFileSync(path).equals(GGUF)).toBe(true);
    expect(visible(folder)).toEqual(['tiny-q8_0.gguf']);
    expect(server.asked.every((asked) => asked.path.endsWith('?signature=canary'))).toBe(true);
    expect(bench.said.join() + origin + readFileSync(join(folder, '.pulled.json'), 'utf8')).not.toContain('canary');
    expect(await refusal(url, {}, { sha256: 'a'.repeat(64) })).toContain(
      `is not what was announced: its SHA-256 is ${SHA256}, and not ${'a'.repeat(64)}.`,
    );
  });

  test('without a hash says that it is not checked', async () => {
    const server = await serve({ '/tiny.gguf': { bytes: GGUF } });
    await pullIt(`${server.url}/tiny.gguf`);
    expect(bench.said.join('\n')).toContain('cannot be checked but by their length: --sha256 does');
    const { isNew, folder } = await pullIt(`${server.url}/tiny.gguf`);
    expect(isNew).toBe(false);
    expect(bench.said.at(-1)).toBe(
      `  nothing tells whether it has changed since it was pulled: to have it again, remove ${folder}`,
    );
  });

  const stopAt = (bytes: number) => {
    const stop = new AbortController();
    const onProgress = ({ done }: { readonly done: number }) => done >= bytes && stop.abort(new Error('Ctrl-C'));
    return { signal: stop.signal, onProgress };
  };

  const LONG_AGO = new Date(0).toUTCString();

  test.each<[string, Omit<ServedFile, 'bytes'>, string | undefined]>([
    ['a strong ETag goes on where it was', { etag: '"v1"' }, '"v1"'],
    ['a date goes on as well', { modified: LONG_AGO }, LONG_AGO],
    [
      'a weak ETag starts anew: nothing tells whether it is the same',
      { etag: 'W/"v1"', modified: LONG_AGO },
      undefined,
    ],
    ['a date of this second as well', { modified: new Date(Date.now() + 600_000).toUTCString() }, undefined],
    ['what is no date as well', { modified: 'yesterday' }, undefined],
    ['nothing starts anew as well', {}, undefined],
  ])('with %s', async (_, told, validator) => {
    const server = await serve({ '/tiny.gguf': { bytes: GGUF, ...told } });
    await expect(pullIt(`${server.url}/tiny.gguf`, stopAt(100_000))).rejects.toThrow('Ctrl-C');
    server.asked.length = 0;
    const { path } = await pullIt(`${server.url}/tiny.gguf`);
    expect(readFileSync(path).equals(GGUF)).toBe(true);
    const { range, 'if-range': condition } = server.asked.at(-1)!.headers;
    expect([range !== undefined, condition]).toEqual([validator !== undefined, validator]);
  });

  test.each<[string, Omit<ServedFile, 'bytes'>, string, number]>([
    ['what the next pull goes on with', { etag: '"v1"' }, 'all', 1],
    ['nothing that it could not go on with', {}, 'none', 0],
  ])('that was stopped leaves %s, which is told', async (_, told, goesOn, parts) => {
    const server = await serve({ '/tiny.gguf': { bytes: GGUF, ...told } });
    const starts: string[] = [];
    const onStart = (start: string) => void starts.push(start);
    await expect(pullIt(`${server.url}/tiny.gguf`, { ...stopAt(100_000), onStart })).rejects.toThrow('Ctrl-C');
    expect(starts).toEqual([goesOn]);
    expect(Object.keys(filesBelow(bench.folder)).filter((path) => path.endsWith('.part'))).toHaveLength(parts);
  });

  test.each([
    ['below downloads', undefined],
    ['in a folder that was named', 'named'],
  ])('that has changed since a pull of it was stopped, %s, is fetched anew, which is said', async (_, named) => {
    const file = { bytes: GGUF, etag: '"v1"' };
    const server = await serve({ '/tiny.gguf': file, '/other.gguf': { ...file, etag: '"o1"' } });
    const to = () => ({ to: named && join(bench.folder, named) });
    await expect(pullIt(`${server.url}/tiny.gguf`, stopAt(100_000), to())).rejects.toThrow('Ctrl-C');
    const [left = ''] = Object.keys(filesBelow(bench.folder)).filter((path) => path.endsWith('.part'));
    // Another one is not this one changed.
    await expect(pullIt(`${server.url}/other.gguf`, stopAt(100_000), to())).rejects.toThrow('Ctrl-C');
    expect(bench.said.join()).not.toContain('has changed');
    file.bytes = Buffer.alloc(400_000, 4);
    file.etag = '"v2"';
    const { path } = await pullIt(`${server.url}/tiny.gguf`, {}, to());
    expect(readFileSync(path).equals(file.bytes)).toBe(true);
    expect(bench.said.filter((line) => line.includes('has changed'))).toEqual([
      `  it has changed since a pull of it was stopped, and is fetched anew; what that has left: ${join(bench.folder, dirname(left))}`,
    ]);
  });

  /** Answers of a server whose connection breaks after `after` bytes; what it had before comes with them. */
  const breakOff = (server: LocalServer, file: ServedFile, after: number, times: number, then = () => {}) => {
    server.intercept = (request, response) => {
      if (request.headers.range === 'bytes=0-0' || times-- <= 0) return false;
      const { bytes, etag } = file;
      response.writeHead(200, { 'content-length': bytes.length, ...(etag !== undefined && { etag }) });
      response.write(bytes.subarray(0, after), () => {
        // What has come is to be read before the connection goes.
        const arrived = () => (bench.progress.at(-1)?.done ?? 0) % bytes.length >= after;
        void expect
          .poll(arrived, { interval: 5 })
          .toBe(true)
          .then(() => {
            then();
            response.destroy();
          });
      });
      return true;
    };
  };

  test('that changes while nothing tells its versions apart is never made of two', async () => {
    const file = { bytes: GGUF };
    const server = await serve({ '/tiny.gguf': file });
    breakOff(server, file, 100_000, 1, () => {
      file.bytes = Buffer.alloc(400_000, 4);
    });
    const { path } = await pullIt(`${server.url}/tiny.gguf`);
    expect(readFileSync(path).equals(file.bytes)).toBe(true);
    expect(server.asked.map(({ headers }) => headers.range)).toEqual(['bytes=0-0', undefined, undefined]);
  });

  test.each([
    ['with another ETag', '"v2"', /was changed while it was fetched: pull it again\.$/],
    ['without one', undefined, undefined],
  ])(
    'of a server that gives parts whatever it is asked on which condition, %s: never made of two',
    async (_, etag, refused) => {
      const file: { bytes: Buffer; etag?: string } = { bytes: GGUF, etag: '"v1"' };
      const server = await serve({ '/tiny.gguf': file });
      breakOff(server, file, 100_000, 1, () => {
        file.bytes = Buffer.alloc(400_000, 4);
        server.intercept = (request, response) => {
          delete request.headers['if-range'];
          serveBytes(request, response, { bytes: file.bytes, ...(etag !== undefined && { etag }) });
          return true;
        };
      });
      const pulled = pullIt(`${server.url}/tiny.gguf`);
      if (refused !== undefined) return await expect(pulled).rejects.toThrow(refused);
      expect(readFileSync((await pulled).path).equals(file.bytes)).toBe(true);
    },
  );

  test.each([
    ['SSH-2.0-x\r\n', 1],
    ['HTTP/1.1 200 OK\r\n', 6],
  ])('whose answer begins with %j is asked for %d times', async (head, times) => {
    const server = await serve({ '/tiny.gguf': { bytes: GGUF } });
    server.intercept = (request) => {
      request.socket.end(head);
      return true;
    };
    await refusal(`${server.url}/tiny.gguf`);
    expect(server.asked).toHaveLength(times);
  });

  test('that breaks off at the same place each time is given up, however much comes', async () => {
    const file = { bytes: Buffer.alloc(3_000_000, 5) };
    const server = await serve({ '/tiny.gguf': file });
    breakOff(server, file, 2_000_000, 99);
    expect(await refusal(`${server.url}/tiny.gguf`)).toMatch(/; gave up after 6 tries\.$/);
    expect(server.asked).toHaveLength(1 + 6);
  });

  test('that has changed since is fetched anew, and one that changes meanwhile is refused', async () => {
    const file: { bytes: Buffer; etag: string } = { bytes: GGUF, etag: '"v1"' };
    const server = await serve({ '/tiny.gguf': file });
    await expect(pullIt(`${server.url}/tiny.gguf`, stopAt(100_000))).rejects.toThrow('Ctrl-C');
    file.bytes = Buffer.alloc(400_000, 4);
    file.etag = '"v2"';
    const { path } = await pullIt(`${server.url}/tiny.gguf`);
    expect(readFileSync(path).equals(file.bytes)).toBe(true);
    const other = await serve({ '/tiny.gguf': file });
    other.intercept = (request) => {
      if (request.headers.range !== 'bytes=0-0') file.etag = '"v3"';
      return false;
    };
    expect(await refusal(`${other.url}/tiny.gguf`)).toMatch(/was changed while it was fetched: pull it again\.$/);
  });

  test.each([
    ['/x.tar.gz', /is an archive: shoal fetch-model takes those/],
    [
      '/model.safetensors',
      /is no \.gguf and no \.onnx file; of a folder with other files name the folder, with a slash/,
    ],
    ['/none.gguf', /answers 404: there is nothing there\.$/],
    ['/%2e%2e%2fevil.gguf', /ends with a name that no file can have/],
    ['/..%5cevil.gguf', /ends with a name that no file can have/],
    ['/secret.gguf', /answers 403: it may not be read without credentials/],
    ['/endless.gguf', /does not say how long it is\.$/],
  ])('such as %s is refused', async (path, message) => {
    const server = await serve({});
    server.intercept = (request, response) => {
      if (request.url === '/secret.gguf') response.writeHead(403).end();
      else if (request.url === '/endless.gguf') response.writeHead(200).write('x');
      else return false;
      return true;
    };
    expect(await refusal(`${server.url}${path}`)).toMatch(message);
    expect(readdirSync(bench.folder)).toEqual([]);
  });

  test('over http:// is refused on the public internet, before anything is sent', async () => {
    expect(await refusal('http://8.8.8.8/x.gguf')).toMatch(
      /over http:\/\/ anyone on the way can change what comes; use https/,
    );
    expect(await refusal('http://shoal.invalid/x.gguf')).toBe(
      'http://shoal.invalid/x.gguf: there is no host shoal.invalid.',
    );
    expect(await refusal('https://me:canary@example.com/x.gguf')).toBe(
      'https://example.com/x.gguf: a URL must not hold a user name or password.',
    );
  });
});

describe('a folder by its URL', () => {
  test('is there with what is found of the names that models have', async () => {
    const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
    const index = JSON.stringify({ weight_map: { a: shards[0], b: shards[1], c: shards[0] } });
    const texts = { 'config.json': '{}', 'tokenizer.json': '{}', 'model.safetensors.index.json': index };
    const files = Object.entries({ ...texts, [shards[0]!]: 'one', [shards[1]!]: 'two' });
    const server = await serve(
      Object.fromEntries(files.map(([name, text]) => [`/m/tiny/${name}`, { bytes: Buffer.from(text) }])),
    );
    const { folder, path } = await pullIt(`${server.url}/m/tiny/`);
    expect(path).toBe(folder);
    expect(visible(folder)).toEqual([...Object.keys(texts), ...shards].sort());
  });

  test('fetches again what an earlier try has, where nothing tells whether it is the same', async () => {
    const texts = { 'config.json': { bytes: Buffer.from('{"a":1}') }, 'model.safetensors': { bytes: GGUF } };
    const server = await serve(Object.fromEntries(Object.entries(texts).map(([name, file]) => [`/m/${name}`, file])));
    const stop = new AbortController();
    const onProgress = ({ done }: { readonly done: number }) => done >= GGUF.length && stop.abort(new Error('Ctrl-C'));
    await expect(pullIt(`${server.url}/m/`, { signal: stop.signal, onProgress })).rejects.toThrow('Ctrl-C');
    const left = Object.keys(filesBelow(bench.folder));
    expect(left.some((name) => /\/(config\.json|model\.safetensors)$/.test(name))).toBe(true);
    texts['config.json'].bytes = Buffer.from('{"a":2}');
    texts['model.safetensors'].bytes = Buffer.alloc(GGUF.length, 4);
    const { folder } = await pullIt(`${server.url}/m/`);
    expect(readFileSync(join(folder, 'config.json'), 'utf8')).toBe('{"a":2}');
    expect(readFileSync(join(folder, 'model.safetensors')).equals(texts['model.safetensors'].bytes)).toBe(true);
  });

  test('whose index names what is no shard is refused', async () => {
    for (const name of ['../../evil.safetensors', '/etc/passwd', 'config.json']) {
      const index = JSON.stringify({ weight_map: { a: name } });
      const server = await serve({
        '/m/config.json': { bytes: Buffer.from('{}') },
        '/m/model.safetensors.index.json': { bytes: Buffer.from(index) },
      });
      expect(await refusal(`${server.url}/m/`)).toContain(`names shards as none are called (${JSON.stringify(name)})`);
    }
    expect(filesBelow(bench.folder)).toEqual({});
  });

  test('without a model is refused', async () => {
    const server = await serve({ '/m/config.json': { bytes: Buffer.from('{}') } });
    expect(await refusal(`${server.url}/m/`)).toMatch(
      /has neither model\.safetensors, nor a GGUF, nor an ONNX file\.$/,
    );
  });
});
