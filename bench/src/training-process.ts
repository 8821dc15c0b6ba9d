/**
 * Trains in a process of its own: `bert` or `llama`, and a number of threads. A line `<steps>` on its input makes so many steps and
 * is answered by `<ms> <CPU ms>`, the line `memory` by the largest resident set in MiB.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildModel, float32, openCheckpoint } from '@shoal/importer';
import type { Model } from '@shoal/onnx';
import { openRuntime, type Tensor } from '@shoal/onnxruntime';
import {
  type Batch,
  EMBEDDING,
  type Loss,
  pooled,
  seededRandom,
  Trainer,
  textProbes,
  trainingGraph,
  weightNames,
} from '@shoal/training';
import { TRAINED, type Trained } from './training-shapes.js';

const [kind = 'bert', threads = '2'] = process.argv.slice(2);
const { folder, batch, tokens } = TRAINED[kind as Trained];
const random = seededRandom(7);

interface Task {
  readonly model: Model;
  readonly loss: Loss;
  readonly targets: Readonly<Record<string, Tensor>>;
  readonly rows: number;
}

const task = kind === 'bert' ? embedder() : languageModel();
const { model, loss, targets, rows } = task;
const runtime = await openRuntime();
const graph = await trainingGraph(runtime, model, {
  trainable: weightNames(model),
  probes: textProbes(model),
  losses: [loss],
});
const settings = { steps: 1_000_000, learningRate: 1e-4, examples: 1, batchSize: 1, seed: 1 };
const trainer = await Trainer.open(runtime, graph, settings, { intraOpThreads: Number(threads), spinning: true });
const step: Batch = { feeds: { ...texts(), ...targets }, rows };

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'memory') {
    console.log(Math.round(process.resourceUsage().maxRSS / 1024));
    continue;
  }
  const [started, cpu] = [performance.now(), process.cpuUsage()];
  for (let n = 0; n < Number(line); n++) await trainer.step([step]);
  const { user, system } = process.cpuUsage(cpu);
  console.log(`${performance.now() - started} ${(user + system) / 1000}`);
}

/** Means of token vectors, brought near to a teacher's. */
function embedder(): Task {
  const teacher = floats([batch, 384], () => 2 * random() - 1);
  return {
    ...{ model: pooled(build(), 'mean'), targets: { teacher }, rows: batch },
    loss: { kind: 'mean-square', output: EMBEDDING, teacher: 'teacher' },
  };
}

/** The next token, of whole texts without a cache. */
function languageModel(): Task {
  return {
    ...{ model: build(), targets: { labels: integers([batch * tokens], () => random() * 8192) }, rows: batch * tokens },
    loss: { kind: 'cross-entropy', output: 'logits', labels: 'labels' },
  };
}

function build(): Model {
  const config: unknown = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  return buildModel({ config, checkpoint: openCheckpoint(folder), precision: float32, whole: true });
}

function texts(): Record<string, Tensor> {
  const inputs: Readonly<Record<string, () => number>> = {
    input_ids: () => 1 + random() * 8000,
    attention_mask: () => 1,
    token_type_ids: () => 0,
  };
  return Object.fromEntries(model.graph.inputs.map(({ name }) => [name, integers([batch, tokens], inputs[name]!)]));
}

function integers(dims: readonly number[], of: () => number): Tensor {
  const length = dims.reduce((product, dim) => product * dim, 1);
  return { type: 'int64', dims, data: BigInt64Array.from({ length }, () => BigInt(Math.floor(of()))) };
}

function floats(dims: readonly number[], of: () => number): Tensor {
  const length = dims.reduce((product, dim) => product * dim, 1);
  return { type: 'float32', dims, data: Float32Array.from({ length }, of) };
}
