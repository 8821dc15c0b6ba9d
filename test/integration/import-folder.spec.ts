/** `importFolder` with checkpoints: what becomes a version, and that nothing half-made is ever there. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRepository } from '@shoal/models';
import { loadModel } from '@shoal/onnx';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FIXTURES, ImportBench } from '../support/importing.js';

let runtime: Runtime;
let bench: ImportBench;
beforeAll(async () => {
  runtime = await openRuntime();
});
beforeEach(() => {
  bench = new ImportBench(runtime);
});
afterEach(() => bench.remove());

describe('a checkpoint', () => {
  test('becomes a version with its tokenizer, its task and a record of where it came from', async () => {
    const target = await bench.take(bench.checkpoint('bert-classify'), { name: 'topics', dtypes: ['fp32', 'int8'] });
    expect(target).toBe(join(bench.models, 'topics', '1'));
    expect(readdirSync(bench.models)).toEqual(['topics']);
    const { models: found, problems } = await openRepository(bench.models);
    expect(problems).toEqual([]);
    expect(found.map(({ variant, task, labels }) => [variant, task, labels.length])).toEqual([
      ['fp32', 'text-classification', 4],
      ['int8', 'text-classification', 4],
    ]);
    expect(await bench.answer(found[0]!, 'one two three')).toHaveLength(4);
    const record = JSON.parse(readFileSync(join(target, 'source.json'), 'utf8')) as { sha256: object };
    expect(Object.keys(record.sha256)).toEqual(
      expect.arrayContaining(['config.json', 'model.safetensors', 'tokenizer.json']),
    );
    expect(bench.said.join('\n')).toContain('BertForSequenceClassification');
    expect(bench.said.join('\n')).toMatch(/int8: cosine to fp32 0\.99/);
  });

  test.each([
    ['roberta-rerank', 'rerank'],
    ['bert-tokens', 'token-classification'],
    ['xlm-roberta', 'feature-extraction'],
  ])('%s serves %s', async (fixture, task) => {
    await bench.take(bench.checkpoint(fixture));
    const { models: found } = await openRepository(bench.models);
    expect(found.map((model) => [model.name, model.task])).toEqual([[fixture, task]]);
  });

  test('that generates text becomes a version too', async () => {
    await bench.take(bench.checkpoint('llama'), { dtypes: ['int8'] });
    const { models: found, problems } = await openRepository(bench.models);
    expect(problems).toEqual([]);
    expect(found.map((model) => [model.name, model.task])).toEqual([['llama', 'text-generation']]);
    expect(bench.said.join('\n')).toContain('serves text-generation');
  });

  test('in 16-bit floats is stored as such, and answers as in 32', async () => {
    const folder = bench.checkpoint('bert');
    narrowWeights(join(folder, 'model.safetensors'));
    const target = await bench.take(folder);
    const whole = statSync(join(FIXTURES, 'checkpoints/bert/model.safetensors')).size;
    expect(statSync(join(target, 'onnx/model.onnx')).size).toBeLessThan(0.8 * whole);
    const stored = loadModel(join(target, 'onnx/model.onnx')).graph;
    const types = new Set([...stored.initializers.values()].map(({ type }) => type));
    expect(types).toContain('float16');
  });

  test('is not written over, and --force replaces the whole of it', async () => {
    const folder = bench.checkpoint('bert');
    const target = await bench.take(folder);
    writeFileSync(join(target, 'onnx', 'model_old.onnx'), 'old');
    expect(await bench.refusal(folder)).toBe(
      `${target} is there: --version 2 adds a version beside it, --force replaces it`,
    );
    await bench.take(folder, { force: true });
    expect(readdirSync(join(target, 'onnx'))).toEqual(['model.onnx']);
    await bench.take(folder, { version: 2 });
    expect(readdirSync(join(bench.models, 'bert'))).toEqual(['1', '2']);
  });

  test('is imported by one of two at once; the other is told what it would have been told later', async () => {
    const folder = bench.checkpoint('bert');
    const ends = await Promise.allSettled([bench.take(folder), bench.take(folder)]);
    const refused = ends.flatMap((end) => (end.status === 'rejected' ? [(end.reason as Error).message] : []));
    const target = join(bench.models, 'bert', '1');
    expect(refused).toEqual([`${target} is there: --version 2 adds a version beside it, --force replaces it`]);
    await Promise.all([bench.take(folder, { force: true }), bench.take(folder, { force: true })]);
    expect(readdirSync(bench.models)).toEqual(['bert']);
  });

  test('that is stopped leaves nothing, not even a folder', async () => {
    const stop = new AbortController();
    const importing = bench.take(bench.checkpoint('bert'), {}, stop.signal);
    stop.abort(new Error('enough'));
    await expect(importing).rejects.toThrow('enough');
    expect(readdirSync(bench.models)).toEqual([]);
  });
});

/** The same F32 checkpoint with every number rounded to 16 bits. */
function narrowWeights(path: string): void {
  const file = readFileSync(path);
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + length)) as Record<
    string,
    { dtype?: string; data_offsets?: number[] }
  >;
  const floats = new Float32Array(Uint8Array.from(file.subarray(8 + length)).buffer);
  const halves = Uint16Array.from(floats, toHalf);
  for (const tensor of Object.values(header)) {
    if (tensor.data_offsets === undefined) continue;
    tensor.dtype = 'F16';
    tensor.data_offsets = tensor.data_offsets.map((offset) => offset / 2);
  }
  const text = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([prefix, text, Buffer.from(halves.buffer)]));
}

/** Towards zero; too small becomes 0. */
function toHalf(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0]!;
  const exponent = ((bits >>> 23) & 0xff) - 112;
  return exponent < 1 ? 0 : ((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 0x3ff);
}
