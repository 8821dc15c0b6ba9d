/** Pulling from a disk; and what a source is called. */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { parseSource } from './parse-source.js';
import { isSafePath } from './safe-path.js';
import { openBench } from './testing/pulling.js';

const { bench, pullIt, refusal } = openBench();
const HUB = 'https://hub.example';

function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = join(bench.folder, 'shared disk', 'Tiny');
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

test('what is needed of a folder is copied, and no link is followed', async () => {
  const folder = folderOf({
    'config.json': '{}',
    'model.safetensors': 'w',
    '1_Pooling/config.json': '{}',
    'train.py': '',
  });
  symlinkSync('/etc/passwd', join(folder, 'tokenizer.json'));
  const pulled = await pullIt(folder);
  const names = readdirSync(pulled.folder, { recursive: true, encoding: 'utf8' });
  expect(names.sort()).toEqual([
    '.pulled.json',
    '1_Pooling',
    '1_Pooling/config.json',
    'config.json',
    'model.safetensors',
  ]);
});

test.each([
  ['org/Some-Model', '; for a model of the hub: hf:org/Some-Model.'],
  ['org/name@v1/Q8_0', '; for a model of the hub: hf:org/name@v1/Q8_0.'],
  ['./org/name', '.'],
  ['name', '.'],
])('%s, which is not there, is told what it may have been meant for', async (given, hint) => {
  expect(await refusal(given)).toBe(`there is no folder and no file ${resolve(given)}${hint}`);
});

test('a file is copied by itself', async () => {
  const folder = folderOf({ 'a-q8_0.gguf': 'eight', 'a-q4_0.gguf': 'four' });
  const { path } = await pullIt(join(folder, 'a-q8_0.gguf'));
  expect(readFileSync(path, 'utf8')).toBe('eight');
  expect(await refusal(folder)).toContain('holds 2 GGUF files; name the one to take:');
});

test('parts of a GGUF file belong together', async () => {
  const folder = folderOf({
    'a-Q8_0-00001-of-00002.gguf': '1',
    'a-Q8_0-00002-of-00002.gguf': '2',
    'mmproj-a-F16.gguf': 'm',
  });
  const { folder: made, path } = await pullIt(folder);
  expect(readdirSync(made).sort()).toEqual([
    '.pulled.json',
    'a-Q8_0-00001-of-00002.gguf',
    'a-Q8_0-00002-of-00002.gguf',
  ]);
  expect(path).toBe(join(made, 'a-Q8_0-00001-of-00002.gguf'));
});

test('ONNX files come with their data, in full precision where nothing else is asked for', async () => {
  const names = [
    'onnx/model.onnx',
    'onnx/model.onnx_data',
    'onnx/model_int8.onnx',
    'onnx/model_q4.onnx',
    'onnx/model_q4.onnx_data',
  ];
  const folder = folderOf(Object.fromEntries(['config.json', ...names].map((name) => [name, name])));
  const onnx = async (pickOnnx?: (paths: readonly string[]) => readonly string[]) =>
    readdirSync(join((await pullIt(folder, {}, { pickOnnx })).folder, 'onnx')).sort();
  expect(await onnx()).toEqual(['model.onnx', 'model.onnx_data']);
  expect(await onnx((paths) => paths.filter((path) => path.includes('q4')))).toEqual([
    'model_q4.onnx',
    'model_q4.onnx_data',
  ]);
});

test('what an earlier try has of a file that has changed since is not gone on with', async () => {
  const folder = folderOf({ 'model.safetensors': 'a'.repeat(1_000_000) });
  const file = join(folder, 'model.safetensors');
  const stop = new AbortController();
  await expect(
    pullIt(folder, {
      signal: stop.signal,
      onProgress: ({ done }) => done > 100_000 && stop.abort(new Error('Ctrl-C')),
    }),
  ).rejects.toThrow('Ctrl-C');
  writeFileSync(file, 'b'.repeat(1_000_000));
  const { folder: made } = await pullIt(folder);
  expect(readFileSync(join(made, 'model.safetensors'), 'utf8')).toBe('b'.repeat(1_000_000));
});

test('what is not there, and a link, are refused', async () => {
  const folder = folderOf({ 'model.safetensors': 'w' });
  symlinkSync(folder, join(bench.folder, 'link'));
  expect(await refusal(join(bench.folder, 'none'))).toBe(`there is no folder and no file ${bench.folder}/none.`);
  expect(await refusal(join(bench.folder, 'link'))).toMatch(/link is a symbolic link: name what it leads to\.$/);
});

test('sources are told apart', () => {
  const of = (text: string) => parseSource(text, HUB);
  expect(of('models/a')).toEqual({ kind: 'folder', path: resolve('models/a'), hubName: 'models/a' });
  expect(of('a.gguf')).toEqual({ kind: 'folder', path: resolve('a.gguf'), hubName: undefined });
  expect(of('s3://bucket/a/b/')).toEqual({ kind: 's3', bucket: 'bucket', prefix: 'a/b' });
  const hub = { kind: 'hub', repo: 'org/a.b', revision: undefined, path: undefined };
  expect(of('hf:org/a.b')).toEqual(hub);
  expect(of('hf:org/a.b@v1.0')).toEqual({ ...hub, revision: 'v1.0' });
  expect(of('hf:org/a.b@refs/pr/3/x/y.gguf')).toEqual({ ...hub, revision: 'refs/pr/3', path: 'x/y.gguf' });
  expect(of(`${HUB}/org/a.b/tree/main/onnx`)).toEqual({ ...hub, revision: 'main', path: 'onnx' });
  expect(of('https://other.example/org/a.b').kind).toBe('url');
});

test('a page of huggingface.co is one of the hub, by any of its names; of another hub than HF_ENDPOINT it is refused', () => {
  const hub = { kind: 'hub', repo: 'org/a.b', revision: undefined, path: undefined };
  for (const host of ['huggingface.co', 'www.huggingface.co', 'hf.co']) {
    const page = `https://${host}/org/a.b`;
    expect(parseSource(page, 'https://huggingface.co')).toEqual(hub);
    for (const rest of ['', '/', '/tree/main', '/blob/main/x.gguf']) {
      expect(() => parseSource(`${page}${rest}`, HUB)).toThrow(
        `${page}${rest} is a page of another hub than HF_ENDPOINT (${HUB}): name hf:org/a.b to have it from there, or unset HF_ENDPOINT.`,
      );
    }
    expect(parseSource(`${page}/resolve/main/x.gguf`, HUB).kind).toBe('url');
  }
});

test.each([
  ['ftp://a/b', /is no https:\/\/ URL/],
  ['ollama:a', /ollama: is no kind of source: name a folder/],
  ['hf:gpt2', /is not hf:org\/name/],
  ['hf:../..', /is not hf:org\/name/],
  ['hf:org/..', /is not hf:org\/name/],
  ['hf:org/a@../b', /is not hf:org\/name/],
  ['hf:org/a/../../b', /names a file by a path that leads elsewhere/],
  ['s3://B/x', /is not s3:\/\/bucket\/prefix/],
  ['https://', /no URL that can be read/],
  [
    `${HUB}/org/100%/blob/main/x.gguf`,
    /^https:\/\/hub\.example\/org\/100%\/blob\/main\/x\.gguf has a % that stands for no character/,
  ],
])('%s is none', (text, message) => {
  expect(() => parseSource(text, HUB)).toThrow(message);
});

test('paths are safe where they stay below, on any file system', () => {
  for (const path of ['a', 'a/b.json', 'a b/é.gguf', 'x..y']) expect(isSafePath(path), path).toBe(true);
  const unsafe = [
    '',
    '.',
    '..',
    '/a',
    'a/',
    'a//b',
    'a/../b',
    '.a',
    'a/.b',
    'a\\b',
    'c:a',
    'a\nb',
    'a\0b',
    'a\u202eb',
    'a\u2028b',
    'a'.repeat(256),
  ];
  for (const path of [...unsafe, 'a/'.repeat(9).slice(0, -1)]) expect(isSafePath(path), path).toBe(false);
});
