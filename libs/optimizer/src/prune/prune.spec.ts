/** Layers, neurons and heads that do nothing of their own are left out without a loss, whatever the architecture. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { graphFrom, openServed, precisionOf, type StoredTensor } from '@shoal/importer';
import { loadModel, serialiseModel } from '@shoal/onnx';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { int8 } from '../methods/precision.js';
import { contextOf } from '../testing/context.js';
import { anatomyOf } from './anatomy.js';
import { attentionOf } from './attention.js';
import { floats, keepLayers, numbersOf, type Parts, pickRows, replace, withInner } from './edits.js';
import { heads, pruneHeads } from './heads.js';
import { neurons, pruneNeurons } from './neurons.js';
import { answersOf, type Change, difference, idle, subjectOf } from './prune.testing.js';
import { openOrThrow, write } from './subject.js';
import { vocabulary } from './vocabulary.js';
import { wiresOf } from './wires.js';

let runtime: Runtime;
let root: string;
beforeAll(async () => {
  runtime = await openRuntime();
  root = mkdtempSync(join(tmpdir(), 'shoal-prune-'));
});
afterAll(() => rmSync(root, { recursive: true }));

/** Of each kind of layer one, and all whose layers differ from each other. */
const DECODERS = ['llama', 'mistral', 'qwen3', 'gemma2', 'gemma3', 'gemma3-conditional', 'phi3', 'olmo2', 'granite'];
const LAYERED = ['smollm3', 'smollm3-layers'];
const ENCODERS = [
  ...['bert', 'bert-classify', 'deberta-v1', 'deberta-v3-classify', 'distilbert-classify', 'electra', 'gte-new'],
  ...['jina-bert-v2', 'modernbert', 'modernbert-classify', 'mpnet', 'nomic-bert', 'xlm-roberta'],
];

describe.each([...DECODERS, ...LAYERED, ...ENCODERS])('%s', (name) => {
  test('without a layer that does nothing, it answers the same', async () => {
    const config = JSON.parse(
      readFileSync(new URL(`../../../../test/fixtures/checkpoints/${name}/config.json`, import.meta.url), 'utf8'),
    ) as Record<string, Record<string, number> | number>;
    const fields = (config.text_config ?? config) as Record<string, number>;
    const all = fields.num_hidden_layers ?? fields.n_layers ?? fields.n_layer!;
    for (let layer = all - 1; layer >= Math.max(0, all - 4); layer--) {
      const subject = await subjectOf(root, name, idle(layer));
      const { served, anatomy } = openOrThrow(subject);
      expect(anatomy.layers).toBe(all);
      // ELECTRA widens its embeddings behind their norm, so that its first layer is the first to normalise what is wide.
      if (anatomy.fixed.has(layer) || (name === 'electra' && layer === 0)) continue;
      const kept = Array.from({ length: all }, (_, n) => n).filter((n) => n !== layer);
      const path = join(root, 'pruned.onnx');
      write(subject, keepLayers(served, anatomy, kept), path);
      const found = await answersOf(runtime, subject, path);
      expect(difference(found, await answersOf(runtime, subject, subject.path)), `layer ${layer}`).toBeLessThan(2e-3);
      // It can be pruned again, by the config.json that it has in it.
      const again = openServed(subject.original.folder, path);
      expect(anatomyOf(again.checkpoint)).toMatchObject({ layers: all - 1 });
    }
  });

  test('with all of its layers it is the same graph', async () => {
    const subject = await subjectOf(root, name);
    const { served, anatomy } = openOrThrow(subject);
    const graphOf = (parts: Parts) => {
      const precision = precisionOf('fp32', 'encoder');
      const model = graphFrom({ ...parts, folder: subject.original.folder, precision });
      return Buffer.from(serialiseModel({ ...model, metadata: new Map() }));
    };
    const all = Array.from({ length: anatomy.layers }, (_, n) => n);
    const own = graphOf({ config: served.config, checkpoint: served.checkpoint });
    expect(graphOf(keepLayers(served, anatomy, all)).equals(own)).toBe(true);
    const wires = wiresOf(served, anatomy);
    expect(new Set(wires.map(({ output }) => output)).size).toBe(anatomy.layers);
  });
});

test.each([
  ['gemma2', { layer_types: null }],
  ['gemma3', { layer_types: null, sliding_window_pattern: 3 }],
  ['modernbert', { layer_types: null, global_attn_every_n_layers: 2 }],
  ['qwen3', { layer_types: null, use_sliding_window: true, sliding_window: 4, max_window_layers: 1 }],
  ['smollm3', { layer_types: null, no_rope_layers: null, no_rope_layer_interval: 2 }],
])('%s, whose layers differ by their numbers, keeps them as they are: %j', async (name, fields) => {
  const whole = await subjectOf(root, name, undefined, 30, fields);
  const { layers: all, fixed } = openOrThrow(whole).anatomy;
  for (const layer of Array.from({ length: all }, (_, n) => n).filter((n) => !fixed.has(n))) {
    const subject = await subjectOf(root, name, idle(layer), 30, fields);
    const { served, anatomy } = openOrThrow(subject);
    const kept = Array.from({ length: all }, (_, n) => n).filter((n) => n !== layer);
    const path = join(root, 'kinds.onnx');
    write(subject, keepLayers(served, anatomy, kept), path);
    const found = await answersOf(runtime, subject, path);
    expect(difference(found, await answersOf(runtime, subject, subject.path)), `layer ${layer}`).toBeLessThan(2e-3);
  }
});

/** Every neuron of the second half does what one of the first does. */
const twins =
  (inner: number): Change =>
  (name, values, shape) => {
    if (
      !/(up_proj|gate_proj|gate_up_proj|intermediate\.dense|ffn\.lin1|Wi|up_gate_proj|gated_layers|fc11|fc12)\./.test(
        name,
      )
    ) {
      return;
    }
    const width = values.length / shape[0]!;
    for (let from = 0; from < values.length; from += inner * width) {
      values.copyWithin(from + (inner / 2) * width, from, from + (inner / 2) * width);
    }
  };

describe.each([
  ['bert-classify', 96],
  ['modernbert', 96],
  ['distilbert', 96],
  ['jina-bert-v2', 64],
  ['gte-new', 72],
  ['nomic-bert', 72],
  ['llama', 112],
  ['llama-bias', 112],
  ['phi3', 88],
  ['gemma3', 48],
])('%s with neurons that there are twice', (name, inner) => {
  test('does with half of them what it did, for the others do the work of both', async () => {
    const subject = await subjectOf(root, name, twins(inner));
    const whole = await answersOf(runtime, subject, subject.path);
    const path = join(root, 'neurons.onnx');
    write(subject, await pruneNeurons(inner / 2, subject, contextOf(runtime)), path);
    const refitted = difference(await answersOf(runtime, subject, path), whole);
    write(subject, halved(subject, inner), path);
    const halve = difference(await answersOf(runtime, subject, path), whole);
    expect(refitted).toBeLessThan(Math.max(2e-3, 0.2 * halve));
  });
});

/** Without the neurons of the second half, and nothing refitted. */
function halved(subject: Parameters<typeof openOrThrow>[0], inner: number): Parts {
  const { served, anatomy } = openOrThrow(subject);
  const kept = Array.from({ length: inner / 2 }, (_, n) => n);
  const changed = new Map<string, StoredTensor>();
  for (let layer = 0; layer < anatomy.layers; layer++) {
    const prefix = `${anatomy.prefix}${layer}.`;
    const { values } = numbersOf(served.checkpoint, `${prefix}${anatomy.down}.weight`)!;
    const columns = { shape: [inner, anatomy.width], values: transposed(values, anatomy.width, inner) };
    const down = pickRows(columns, kept).data.bytes();
    const half = transposed(new Float32Array(Uint8Array.from(down).buffer), inner / 2, anatomy.width);
    changed.set(`${prefix}${anatomy.down}.weight`, floats([anatomy.width, inner / 2], half));
    for (const part of anatomy.up.flatMap((up) => [`${up}.weight`, `${up}.bias`])) {
      const tensor = numbersOf(served.checkpoint, `${prefix}${part}`);
      if (tensor === undefined) continue;
      const rows = Array.from({ length: tensor.shape[0]! / inner }, (_, n) =>
        kept.map((row) => n * inner + row),
      ).flat();
      changed.set(`${prefix}${part}`, pickRows(tensor, rows));
    }
  }
  return { config: withInner(served.config, inner / 2), checkpoint: replace(served.checkpoint, changed) };
}

function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(values, (_, at) => values[(at % rows) * columns + Math.floor(at / rows)]!);
}

/** The last group of heads does what the first does. */
const alike =
  (groups: number): Change =>
  (name, values, shape) => {
    if (!/(query|key|value|[qkv]_lin|[qkv]_proj)\.(weight|bias)$/.test(name)) return;
    const size = values.length / groups;
    if (shape[0]! % groups === 0) values.copyWithin((groups - 1) * size, 0, size);
  };

describe.each([
  ['bert-classify', 3],
  ['distilbert', 3],
  ['xlm-roberta', 3],
  ['electra', 4],
  ['llama', 2],
  ['qwen3', 2],
  ['gemma2', 2],
])('%s with a group of heads that there is twice', (name, groups) => {
  test('does without it what it did', async () => {
    const subject = await subjectOf(root, name, alike(groups));
    const { served, anatomy } = openOrThrow(subject);
    expect(attentionOf(served.config, served.checkpoint, anatomy)).toMatchObject({ groups });
    const { parts } = await pruneHeads(groups - 1, subject, contextOf(runtime));
    const path = join(root, 'heads.onnx');
    write(subject, parts, path);
    const whole = await answersOf(runtime, subject, subject.path);
    expect(difference(await answersOf(runtime, subject, path), whole)).toBeLessThan(5e-2);
  });
});

test.each(['nomic-bert', 'xlm-roberta', 'roberta-tokens', 'modernbert', 'distilbert', 'electra'])(
  '%s without the words that no text leads to answers the same to the bit',
  async (name) => {
    const subject = await subjectOf(root, name);
    const plan = await vocabulary.plan(subject);
    if (typeof plan === 'string') throw new Error(plan);
    const path = join(root, 'words.onnx');
    await vocabulary.make(plan[0]!, subject, path, contextOf(runtime));
    const kept = Number(plan[0]!.settings.words);
    const table = [...loadModel(path).graph.initializers].find(([own]) =>
      /(word|tok)_embeddings\.weight(\.\w*float16)?$/.test(own),
    );
    expect(table?.[1].dims[0]).toBe(kept);
    expect(kept).toBeLessThan(
      0.99 * openOrThrow(subject).served.weights.tensors.get(table![0].replace(/\.\w*float16$/, ''))!.shape[0]!,
    );
    expect(await answersOf(runtime, subject, path)).toEqual(await answersOf(runtime, subject, subject.path));

    const rounded = join(root, 'rounded.onnx');
    await int8.make(
      { method: 'int8', variant: 'int8', settings: { dtype: 'int8' }, seconds: 1 },
      subject,
      rounded,
      contextOf(runtime),
    );
    const before = await answersOf(runtime, subject, rounded);
    await vocabulary.make(plan[0]!, { ...subject, path: rounded }, path, contextOf(runtime));
    const stored = [...loadModel(path).graph.initializers].filter(([own]) => /(word|tok)_embeddings\.weight/.test(own));
    for (const [own, { dims }] of stored) if (!own.endsWith('.rows')) expect(dims[0]).toBe(kept);
    expect(await answersOf(runtime, subject, path)).toEqual(before);
  },
);

test('what cannot be pruned is told with the reason', async () => {
  expect(await neurons.plan(await subjectOf(root, 'albert'))).toMatch(/share their weights/);
  expect(await heads.plan(await subjectOf(root, 'mpnet'))).toMatch(/heads of MPNetModel/);
  expect(await heads.plan(await subjectOf(root, 'olmo2'))).toMatch(/heads of Olmo2ForCausalLM/);
  expect(await neurons.plan(await subjectOf(root, 'jina-bert-v2'))).toMatch(/64 neurons, too few/);
  expect(await vocabulary.plan(await subjectOf(root, 'llama'))).toMatch(/its own table/);
});
