/** What tests of pruning share: a checkpoint of the fixtures, changed in some way, as a model that is served, and its answers. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildFrom, Checkpoint, openCheckpoint, precisionOf } from '@shoal/importer';
import { decoderInfoOf, isServedFile, openRepository } from '@shoal/models';
import { loadModel } from '@shoal/onnx';
import type { Runtime } from '@shoal/onnxruntime';
import { heldOut, inThirds } from '../testing/examples.js';
import type { Example, Subject } from '../types.js';
import { floats } from './edits.js';
import { encode, runAll } from './texts.js';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));

/** Changes the numbers of a tensor in place, or leaves them. */
export type Change = (name: string, values: Float32Array, shape: readonly number[]) => void;

/** Definitions of nouns, with their topics. */
export function definitions(): readonly Example[] {
  const lines = heldOut<{ readonly text: string; readonly label: string }>('wordnet-topic');
  return lines.map((line) => ({ kind: 'text', ...line }));
}

/** A fixture of the importer as a served model; `fields` of config.json take the place of its own. */
export async function subjectOf(
  root: string,
  fixture: string,
  change: Change = () => undefined,
  texts = 90,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<Subject> {
  const from = join(ROOT, 'test/fixtures/checkpoints', fixture);
  const repository = mkdtempSync(join(root, 'models-'));
  const folder = join(repository, 'model', '1');
  mkdirSync(join(folder, 'onnx'), { recursive: true });
  for (const file of readdirSync(from).filter(isServedFile)) cpSync(join(from, file), join(folder, file));
  // Those that have none of their own are of the same vocabulary.
  if (!existsSync(join(folder, 'tokenizer.json')))
    cpSync(join(from, '../llama/tokenizer.json'), join(folder, 'tokenizer.json'));
  const own = JSON.parse(readFileSync(join(from, 'config.json'), 'utf8')) as { architectures: [string] };
  const config = { ...own, ...fields };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const [name] = config.architectures;
  const task = /ForCausalLM|ForConditionalGeneration/.test(name) ? 'text-generation' : 'feature-extraction';
  const classifies = /Classification/.test(name);
  writeFileSync(join(folder, 'shoal.json'), JSON.stringify(classifies ? {} : { task }));
  const path = join(folder, 'onnx', 'model.onnx');
  buildFrom({
    ...{ folder, config, path, precision: precisionOf('fp32', 'encoder') },
    checkpoint: changed(openCheckpoint(from, config), change),
  });
  const { models, problems } = await openRepository(repository);
  if (problems[0] !== undefined) throw new Error(problems[0].message);
  const items = definitions().slice(0, texts);
  return { original: models[0]!, path, data: inThirds(items) };
}

function changed(checkpoint: Checkpoint, change: Change): Checkpoint {
  return new Checkpoint(
    new Map(
      [...checkpoint.stored].map(([name, tensor]) => {
        if ('type' in tensor && !/^B?F\d+$/.test(tensor.type)) return [name, tensor];
        const values = checkpoint.tensor(name, tensor.shape).slice();
        change(name, values, tensor.shape);
        return [name, floats(tensor.shape, values)];
      }),
    ),
  );
}

/** What a graph answers to some texts: the first output of each pass, of a decoder the logits behind every 128 tokens and the last. */
export async function answersOf(runtime: Runtime, { original, data }: Subject, path: string): Promise<Float32Array> {
  const session = await runtime.createSession(path);
  const output = session.outputs.some(({ name }) => name === 'logits') ? 'logits' : session.outputs[0]!.name;
  const all: number[] = [];
  try {
    await runAll(original, session, await encode(original, data.choice, 400), {
      outputs: [output],
      onPass: (outputs) => all.push(...(outputs[output]!.data as Float32Array)),
      info: decoderInfoOf(loadModel(path)),
      signal: new AbortController().signal,
    });
  } finally {
    await session.release();
  }
  return Float32Array.from(all);
}

/** The largest, as a share of the largest answer. */
export function difference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) throw new Error(`${a.length} numbers in place of ${b.length}`);
  const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return a.reduce((most, value, n) => Math.max(most, Math.abs(value - b[n]!)), 0) / largest;
}

const OUT =
  /(attention\.output\.dense|attention\.out_lin|attention\.attn\.o|self_attn\.o_proj|attention\.o_proj|attn\.out_proj|attn\.Wo)\.(weight|bias)$/;
const DOWN = /(\.output\.dense|ffn\.lin2|mlp\.(down_proj|fc2|wo|Wo))\.(weight|bias)$/;
const NORM = /(LayerNorm|layer_norm|_ln|emb_ln|norm\d?|layernorm)\.(weight|bias|gamma|beta)$/;

/** Makes layer `layer` one that gives what it reads: nothing is added, and what is normalised twice is as after the first time. */
export function idle(layer: number): Change {
  return (name, values) => {
    const own = new RegExp(`\\blayers?\\.${layer}\\.`).test(name);
    if (own && (OUT.test(name) || DOWN.test(name))) values.fill(0);
    else if (NORM.test(name)) values.fill(/(weight|gamma)$/.test(name) ? 1 : 0);
  };
}
