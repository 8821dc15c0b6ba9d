/** A checkpoint as it is served once it is imported: tokenizer, graph, pooling, scores. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WireOutput } from '@shoal/contracts';
import { createModelFace, loadRunner, type Model, openRepository, sessionModel } from '@shoal/models';
import type { Runtime } from '@shoal/onnxruntime';
import { buildVariant } from '../import/build.js';
import { inspect } from '../import/inspect.js';
import { keptFiles } from '../import/kept-files.js';
import { choose } from '../import/plan.js';
import { copyFiles } from '../import/source-files.js';

export interface Served {
  readonly model: Model;
  /** Outputs of the rows of `input`, in one batch, and their token ids. */
  answer(input: unknown, parameters?: object): Promise<Answer>;
  close(): Promise<void>;
}

export interface Answer {
  readonly outputs: readonly WireOutput[];
  readonly ids: readonly (readonly number[])[];
}

/** Without the trials of an import, which take seconds. `shoal`: what shoal.json says beside. */
export async function serve(runtime: Runtime, folder: string, dtype = 'fp32', shoal: object = {}): Promise<Served> {
  const root = mkdtempSync(join(tmpdir(), 'shoal-served-'));
  const version = join(root, 'model', '1');
  const inspected = inspect(folder);
  const { task } = choose(folder, inspected, []);
  mkdirSync(join(version, 'onnx'), { recursive: true });
  await copyFiles(folder, version, keptFiles(folder));
  buildVariant({ folder, exported: undefined, dtype, path: join(version, 'onnx', 'model.onnx') });
  writeFileSync(join(version, 'shoal.json'), JSON.stringify({ task, ...inspected.shoal, ...shoal }));
  const { models, problems } = await openRepository(root);
  if (problems[0] !== undefined) throw new Error(problems[0].message);
  const model = models[0]!;
  const runner = loadRunner(model, await runtime.createSession(sessionModel(model.variants.fp32!)), {
    rows: 'any-length',
    reason: null,
  });
  const face = await createModelFace(model);
  return {
    model,
    async answer(input, parameters = {}) {
      const encoded = await face.encode({ input, parameters });
      const outputs = await runner.run(encoded.items.map((item) => ({ item, parameters: encoded.parameters })));
      const ids = encoded.items.map((item) => (item.kind === 'tensors' ? [] : [...item.ids]));
      return { outputs: outputs.map(orThrow), ids };
    },
    async close() {
      await runner.close();
      rmSync(root, { recursive: true });
    },
  };
}

function orThrow(output: WireOutput | Error): WireOutput {
  if (output instanceof Error) throw output;
  return output;
}

/** The numbers of an output by class; scores come best first, with their places. */
export function valuesOf(output: WireOutput): Float32Array {
  if (output.kind === 'vector') return output.values;
  if (output.kind === 'score') return Float32Array.of(output.score);
  if (output.kind !== 'scores') throw new Error(`unexpected ${output.kind}`);
  const values = new Float32Array(output.scores.length);
  for (const [n, index] of output.indices.entries()) values[index] = output.scores[n]!;
  return values;
}

export function largestDifference(values: ArrayLike<number>, reference: ArrayLike<number>): number {
  if (values.length !== reference.length) throw new Error(`${values.length} values in place of ${reference.length}`);
  return Array.from(reference).reduce((most, value, i) => Math.max(most, Math.abs(value - values[i]!)), 0);
}
