/** `importFolder` with ONNX files of other tools: served as they are. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRepository } from '@shoal/models';
import { dataOf, float, GraphBuilder, loadModel, type Model, narrowModel, saveModel } from '@shoal/onnx';
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

describe('ONNX files of other tools', () => {
  test.each(['mixed-dynamo', 'mixed-torchscript'])('%s is served as it is: tensors', async (name) => {
    const folder = bench.folder();
    cpSync(join(FIXTURES, `exports/${name}.onnx`), join(folder, `${name}.onnx`));
    await bench.take(folder);
    const { models: found } = await openRepository(bench.models);
    expect(found[0]).toMatchObject({ name: 'some-model', task: 'tensors', variant: 'fp32' });
    const { inputs, outputs } = readExport('mixed') as Record<'inputs' | 'outputs', Record<string, unknown>>;
    const answers = (await bench.answer(found[0]!, inputs)) as Record<string, { data: unknown }>;
    for (const [output, values] of Object.entries(outputs)) expectClose(answers[output]!.data, values);
  });

  test('keras-conv, exported by Keras', async () => {
    const folder = bench.folder();
    cpSync(join(FIXTURES, 'exports/keras-conv.onnx'), join(folder, 'model.onnx'));
    await bench.take(folder);
    const { models: found } = await openRepository(bench.models);
    const { input, output } = readExport('keras-conv') as { input: unknown; output: unknown };
    const [name = ''] = found[0]!.inputs.map((spec) => spec.name);
    const [answer] = Object.values(
      (await bench.answer(found[0]!, { [name]: input })) as Record<string, { data: unknown }>,
    );
    expectClose(answer!.data, output);
  });

  test.each([
    ...['tf2onnx-image', 'tf2onnx-saved-model', 'tf2onnx-text', 'sklearn-columns', 'sklearn-forest', 'sklearn-plain'],
    ...['sklearn-regressor', 'lightgbm-plain', 'xgboost'],
  ])('%s gives what its library does', async (name) => {
    const folder = bench.folder();
    cpSync(join(FIXTURES, `exports/${name}.onnx`), join(folder, 'model.onnx'));
    await bench.take(folder);
    const { models: found } = await openRepository(bench.models);
    const { feeds, answers } = readExport(name) as Record<'feeds' | 'answers', Record<string, readonly unknown[]>>;
    const given = (await bench.answer(found[0]!, feeds)) as Record<string, { data: readonly unknown[] }>;
    for (const [output, values] of Object.entries(answers)) {
      const data = given[output]!.data.flat();
      // 64-bit integers are texts in JSON, labels may be.
      if (typeof data[0] === 'string') expect(data).toEqual(values.flat().map(String));
      else expectClose(data, values.flat());
    }
  });

  test('a ZipMap is refused with how to leave it out', async () => {
    const folder = bench.folder();
    cpSync(join(FIXTURES, 'exports/sklearn-zipmap.onnx'), join(folder, 'model.onnx'));
    const refusal = await bench.refusal(folder);
    expect(refusal).toContain('output_probability is of type sequence');
    expect(refusal).toContain('options={"zipmap": False}');
    expect(bench.said.filter((line) => line.includes('onnx/'))).toEqual([]);
  });

  test.each([
    ['onnx/model_quantized.onnx', 'int8'],
    ['onnx/model_uint8.onnx', 'int8'],
    ['onnx/model_qint8_avx512_vnni.onnx', 'int8'],
    ['onnx/model_q4.onnx', 'int4'],
    ['onnx/model_bnb4.onnx', 'int4'],
    ['onnx/model_O3.onnx', 'fp32'],
    ['model.onnx', 'fp32'],
  ])('%s alone becomes the variant %s', async (path, variant) => {
    const folder = bench.folder();
    mkdirSync(join(folder, 'onnx'));
    saveModel(scaled(), join(folder, path));
    await bench.take(folder);
    const { models: found } = await openRepository(bench.models);
    expect(found.map((model) => model.variant)).toEqual([variant]);
    expect(await bench.answer(found[0]!, { x: [[1, 2, 3, 4]] })).toMatchObject({ y: { data: [[3, 6, 9, 12]] } });
  });

  test('in 16-bit floats, with data in a file beside, become 32-bit floats in one', async () => {
    const folder = bench.folder();
    mkdirSync(join(folder, 'onnx'));
    const path = join(folder, 'onnx/model_fp16.onnx');
    saveModel(narrowModel(scaled(32)), path, { externalData: true });
    expect(existsSync(`${path}.data`)).toBe(true);
    const target = await bench.take(folder);
    expect(readdirSync(join(target, 'onnx'))).toEqual(['model.onnx']);
    const { graph } = loadModel(join(target, 'onnx/model.onnx'));
    expect([...graph.initializers.values()].map(({ type }) => type)).not.toContain('float16');
    expect(bench.said.join('\n')).toContain('16-bit floats became 32-bit ones');
    expect(await bench.refusal(folder, { version: 2, dtypes: ['int8'] })).toContain(
      'no ONNX file in int8, only in fp16',
    );
  });

  test('with weights of 4 bits get the accuracy level that has fast kernels', async () => {
    const folder = bench.folder();
    saveModel(fourBits(), join(folder, 'model_q4.onnx'));
    const target = await bench.take(folder);
    const [node] = loadModel(join(target, 'onnx/model_int4.onnx')).graph.nodes;
    expect(node!.attributes.get('accuracy_level')).toEqual({ type: 'int', value: 4n });
  });

  test('that keep weights outside their folder, or generate text and do not say as which model, are refused', async () => {
    const folder = bench.folder();
    const path = join(folder, 'model.onnx');
    saveModel(scaled(32), path, { externalData: true });
    const bytes = readFileSync(path);
    writeFileSync(path, Buffer.from(bytes.toString('latin1').replace('model.onnx.data', '../x.onnx.data '), 'latin1'));
    expect(await bench.refusal(folder)).toMatch(/must be a path within the model's folder|is missing/);
    for (const name of ['past_key_values.0.key', 'past.11.value', 'past_key_self_0', 'past_conv.3']) {
      saveModel(scaled(4, name), path, { externalData: false });
      expect(await bench.refusal(folder)).toContain('config.json is missing: put the one of the model');
    }
  });

  test.each(['past_values', 'past_key', 'past_time_features'])('that take %s are no generators', async (name) => {
    const folder = bench.folder();
    saveModel(scaled(4, name), join(folder, 'model.onnx'));
    await bench.take(folder);
    expect((await openRepository(bench.models)).models).toMatchObject([{ task: 'tensors' }]);
  });

  test('with a vocabulary but no tokenizer.json are refused, unless tensors are what is wanted', async () => {
    const folder = bench.folder();
    saveModel(scaled(), join(folder, 'model.onnx'));
    writeFileSync(join(folder, 'vocab.txt'), '[PAD]\nfish\n');
    expect(await bench.refusal(folder)).toContain('tokenizer.json is missing; vocab.txt alone is not enough');
    writeFileSync(join(folder, 'shoal.json'), '{"task": "tensors"}');
    await bench.take(folder);
  });

  test('may use names that every JavaScript object has', async () => {
    const folder = bench.folder();
    saveModel(scaled(4, 'constructor', 'toString'), join(folder, 'model.onnx'));
    await bench.take(folder);
    const [model] = (await openRepository(bench.models)).models;
    const answer = await bench.answer(model!, { constructor: [[1, 2, 3, 4]] });
    expect(Object.entries(answer as object)).toMatchObject([['toString', { data: [[3, 6, 9, 12]] }]]);
  });
});

describe('one ONNX file', () => {
  test('is what its folder would be with it alone: among others and a checkpoint, with its data beside it', async () => {
    const folder = bench.checkpoint('bert');
    saveModel(scaled(32), join(folder, 'Wanted.onnx'), { externalData: true });
    saveModel(fourBits(), join(folder, 'other.onnx'));
    for (const name of ['tokenizer.json', 'tokenizer_config.json', 'config.json']) rmSync(join(folder, name));
    writeFileSync(join(folder, 'LICENSE'), 'Take it.');
    const target = await bench.take(join(folder, 'Wanted.onnx'));
    expect(target).toBe(join(bench.models, 'wanted/1'));
    const [model] = (await openRepository(bench.models)).models;
    const row = Array.from({ length: 32 }, (_, n) => n);
    expect(await bench.answer(model!, { x: [row] })).toMatchObject({ y: { data: [row.map((x) => 3 * x)] } });
    expect(readdirSync(target).sort()).toEqual(['LICENSE', 'onnx', 'shoal.json', 'source.json']);
    const { sha256 } = JSON.parse(readFileSync(join(target, 'source.json'), 'utf8')) as { sha256: object };
    expect(Object.keys(sha256)).toEqual(['LICENSE', 'Wanted.onnx', 'Wanted.onnx.data']);
  });

  test('in onnx/ goes with what lies beside that, and is called as its folder', async () => {
    const folder = bench.folder({ 'config.json': '{"architectures":["X"]}' });
    mkdirSync(join(folder, 'onnx'));
    saveModel(scaled(), join(folder, 'onnx/model.onnx'));
    saveModel(scaled(), join(folder, 'onnx/model_q4.onnx'));
    const target = await bench.take(join(folder, 'onnx/model_q4.onnx'));
    expect(target).toBe(join(bench.models, 'some-model/1'));
    expect(readdirSync(join(target, 'onnx'))).toEqual(['model_int4.onnx']);
    expect(existsSync(join(target, 'config.json'))).toBe(true);
  });

  test('of several is what a folder asks for; a link is none', async () => {
    const folder = bench.folder();
    for (const name of ['a.onnx', 'b.onnx']) saveModel(scaled(), join(folder, name));
    expect(await bench.refusal(folder)).toContain('(a.onnx, b.onnx): give the one to import, some-model/a.onnx');
    symlinkSync('a.onnx', join(folder, 'c.onnx'));
    expect(await bench.refusal(join(folder, 'c.onnx'))).toContain('c.onnx is a symbolic link');
    await bench.take(join(folder, 'a.onnx'));
  });
});

/** y = 3 · x, with a weight of `width` × `width`. */
function scaled(width = 4, input = 'x', output = 'y'): Model {
  const g = new GraphBuilder({ name: 'scaled', opset: 17, irVersion: 8 });
  const weight = new Float32Array(width * width);
  for (let n = 0; n < width; n++) weight[n * width + n] = 3;
  const w = g.constant('w', 'float32', [width, width], dataOf(weight));
  g.output(output, g.op('MatMul', [g.input(input, 'float32', ['batch', width]), w]), 'float32', ['batch', width]);
  return g.build();
}

/** MatMulNBits as exporters write it, without an accuracy level. */
function fourBits(): Model {
  const g = new GraphBuilder({ name: 'q4', opset: 21, irVersion: 10, domains: { 'com.microsoft': 1 } });
  const b = g.constant('b', 'uint8', [32, 1, 16], dataOf(new Uint8Array(512).fill(0x99)));
  const scales = g.constant('s', 'float32', [32], dataOf(new Float32Array(32).fill(0.5)));
  const attributes = { K: 32, N: 32, bits: 4, block_size: 32 };
  const [y = ''] = g.contrib('MatMulNBits', [g.input('x', 'float32', ['batch', 32]), b, scales], 1, attributes);
  g.output('y', g.op('LeakyRelu', [y], { alpha: float(0.5) }), 'float32', ['batch', 32]);
  return g.build();
}

function readExport(name: string): unknown {
  return JSON.parse(readFileSync(join(FIXTURES, `exports/${name}.json`), 'utf8'));
}

/** Reference values are float32; numbers are compared one by one. */
function expectClose(actual: unknown, reference: unknown): void {
  const flat = (value: unknown): number[] => (Array.isArray(value) ? value.flatMap(flat) : [Number(value)]);
  expect(flat(actual)).toHaveLength(flat(reference).length);
  for (const [n, value] of flat(reference).entries()) expect(flat(actual)[n]).toBeCloseTo(value, 5);
}
