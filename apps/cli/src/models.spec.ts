import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@shoal/tools/ports';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadConfig } from './config.js';
import { type ModelsRequest, manageModels } from './models.js';

/** A folder with these files, and what `shoal models` prints of it. */
async function open(files: readonly string[], port?: number) {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-models-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const file of files) {
    mkdirSync(join(folder, file, '..'), { recursive: true });
    writeFileSync(join(folder, file), '');
  }
  const config = loadConfig({ SHOAL_MODELS_DIR: folder, PORT: String(port ?? (await freePort())) });
  const said: string[] = [];
  const run = async (request: ModelsRequest) => {
    await manageModels(request, config, (line) => void said.push(line));
    return said;
  };
  const remove = (name: string, all = false) => run({ what: 'rm', name, all });
  const left = () =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
      .sort();
  return { folder, run, said, remove, left };
}

describe('rm', () => {
  test('of a version deletes that alone: what lies beside the last one stays', async () => {
    const { folder, remove, left } = await open(['topic/1/model.onnx', 'topic/2/model.onnx', 'topic/draft/notes']);
    await remove('topic@1');
    expect(left()).toEqual(['topic/2/model.onnx', 'topic/draft/notes']);
    await remove('topic@2');
    expect(left()).toEqual(['topic/draft/notes']);
    await remove('topic');
    expect(existsSync(join(folder, 'topic'))).toBe(false);
  });

  test('takes what one that was killed has left as well', async () => {
    const { folder, remove } = await open(['.removed-1-old/model.onnx', 'topic/3/model.onnx', 'topic/4/model.onnx']);
    await remove('topic@3');
    expect(readdirSync(folder)).toEqual(['topic']);
  });

  test('of the last version leaves no empty folder', async () => {
    const { folder, remove } = await open(['topic/3/model.onnx']);
    await remove('topic@3');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('of a model with several versions wants to be sure', async () => {
    const { remove, left } = await open(['topic/1/model.onnx', 'topic/2/model.onnx', 'other/model.onnx']);
    await expect(remove('topic')).rejects.toThrow('topic has versions 1, 2: name one, as topic@1, or add --all.');
    await expect(remove('topic@3')).rejects.toThrow('there is no version 3 of topic; there is 1, 2.');
    await expect(remove('other@2')).rejects.toThrow('there is no version 2 of other; there is 1.');
    await remove('topic', true);
    expect(left()).toEqual(['other/model.onnx']);
    await remove('other@1');
    expect(left()).toEqual([]);
  });

  test.each(['none', 'topic:int8', '../topic', 'topic@x'])('of %s is refused', async (name) => {
    const { remove, left } = await open(['topic/1/model.onnx']);
    await expect(remove(name)).rejects.toThrow(/there is no model|is no name of a model or version/);
    expect(left()).toEqual(['topic/1/model.onnx']);
  });
});

test('ls tells of the folder where no API runs, and why what lies there cannot be served', async () => {
  const { folder, run, said } = await open(['broken/1/model.onnx']);
  await expect(run({ what: 'ls' })).rejects.toThrow(
    new RegExp(`^no API answers on http://127\\.0\\.0\\.1:\\d+: .* PORT=<port> .* This is what lies in ${folder}\\.$`),
  );
  expect(said).toEqual([expect.stringMatching(/\/broken\/1 is not served: .*model\.onnx/)]);
});

test.each(['<html>', '"yes"', '[]'])('what answers and is no API is told as such: %s', async (body) => {
  const server = createServer((_, response) => response.writeHead(404).end(body)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { run } = await open([], (server.address() as AddressInfo).port);
  await expect(run({ what: 'ls' })).rejects.toThrow(/^what answers on .* is no API of Shoal \(status 404\): put PORT/);
});

describe('with an API', () => {
  const served = [
    { id: 'topic@2:fp32', state: 'failed', workers: 0, reason: 'no memory' },
    { id: 'topic@1:fp32', state: 'loaded', workers: 2, original: true },
    {
      ...{ id: 'topic@1:int8', state: 'on_demand', workers: 0 },
      quality: {
        ...{ verdict: 'forced', method: 'int8', accuracy_loss: { metric: 'accuracy', mean: 0.00072, bound: 0.01234 } },
        speeds: [
          { batch: 1, tokens: 16, ratio: 1.2, low: 1.1, high: 1.3 },
          { batch: 16, tokens: 64, ratio: 1.517, low: 1.4, high: 1.6 },
        ],
        escalated: 0.307,
      },
    },
  ];
  const standIns = {
    prod: [{ model: 'topic@1', weight: 1 }],
    try: [2, 1].map((n) => ({ model: `topic@${n}`, weight: n })),
  };
  async function serve(files: readonly string[] = []) {
    const asked: string[] = [];
    const server = createServer(({ method, url = '' }, response) => {
      asked.push(`${method} ${url}`);
      const list = [{ id: 'topic' }, ...Object.entries(standIns).map(([id, all]) => ({ id, stands_for: all }))];
      const name = url.split('/')[3];
      const card = { ...list.find(({ id }) => id === name), task: 'rerank', served, example: { curl: `curl ${name}` } };
      if (name === 'none') response.statusCode = 404;
      const error = { message: 'No model of this name is served. GET /v1/models lists those that are.' };
      response.end(JSON.stringify(url === '/v1/models' ? { data: list } : name === 'none' ? { error } : card));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    return { asked, ...(await open(files, (server.address() as AddressInfo).port)) };
  }

  test('ls lists every version with its state, and other names', async () => {
    const { folder, run } = await serve(['tiny.gguf']);
    expect((await run({ what: 'ls' })).map((line) => line.replaceAll(/ +/g, ' '))).toEqual([
      'topic@2:fp32 failed rerank',
      'topic@1:fp32 loaded 2 workers rerank',
      'topic@1:int8 on demand rerank',
      'prod stands for topic@1',
      'try stands for topic@2 (66.7 %), topic@1 (33.3 %)',
      'topic@2:fp32 does not load: no memory',
      expect.stringContaining(
        `${folder}/tiny.gguf is not served: is a file of weights and no folder: "npx shoal import`,
      ),
    ]);
  });

  test('load and unload leave the wish for exactly what is named', async () => {
    const { run, asked } = await serve();
    await run({ what: 'load', name: 'topic@2:fp32' });
    await run({ what: 'unload', name: 'topic' });
    expect(asked).toEqual(['POST /v1/models/topic%402%3Afp32/load', 'POST /v1/models/topic/unload']);
  });

  test('unload tells which versions it was for', async () => {
    const { run, said } = await serve();
    await run({ what: 'unload', name: 'topic' });
    await run({ what: 'unload', name: 'topic@1:int8' });
    expect(said).toEqual([
      'topic@2:fp32, topic@1:fp32, topic@1:int8 take no more jobs; workers end what they have taken, and unload them.',
      '"npx shoal models load topic" takes that back.',
      'topic@1:int8 takes no more jobs; workers end what it has taken, and unload it.',
      '"npx shoal models load topic@1:int8" takes that back.',
    ]);
  });

  test('show tells what a name of models.json stands for', async () => {
    const { run } = await serve();
    const said = (await run({ what: 'show', name: 'try' })).join('\n');
    expect(said).toMatch(/^stands for +topic@2 \(66\.7 %\), topic@1 \(33\.3 %\)$/m);
    expect(said).toMatch(/^curl try$/m);
  });

  test('show tells what variants lose, how much faster they are, and what a cascade leaves to the original', async () => {
    const { run } = await serve();
    const said = (await run({ what: 'show', name: 'topic' })).map((line) => line.replaceAll(/ +/g, ' '));
    expect(said).toContain(' topic@1:fp32 loaded 2 workers the original');
    expect(said).toContain(
      ' topic@1:int8 on demand 0 workers loses 0.00072 of accuracy, 0.012 at most (forced) times as fast: 1.20 (1 × 16 tokens), 1.52 (16 × 64 tokens) has the original for 0.31 of the texts',
    );
  });

  test('what is not there is told with the command that lists what is', async () => {
    const { run } = await serve();
    await expect(run({ what: 'load', name: 'none' })).rejects.toThrow('"npx shoal models ls" lists those that are.');
  });
});
