/** A copy of a bundled model that gets further variants, served as any folder is; and raw passes of graphs. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Model, openRepository } from '@shoal/models';
import { type Model as OnnxModel, saveModel, serialiseModel } from '@shoal/onnx';
import type { Runtime, Tensor } from '@shoal/onnxruntime';
import type { Data, Example } from '../types.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

export class ModelCopy {
  readonly root = mkdtempSync(join(tmpdir(), 'shoal-students-'));
  readonly folder: string;

  constructor(name: string) {
    this.folder = join(this.root, name, '1');
    cpSync(join(ROOT, 'models', name, '1'), this.folder, { recursive: true });
  }

  /** Where a variant's graph belongs. */
  pathOf(variant: string): string {
    return join(this.folder, 'onnx', variant === 'fp32' ? 'model.onnx' : `model_${variant}.onnx`);
  }

  save(variant: string, graph: OnnxModel): void {
    saveModel(graph, this.pathOf(variant));
  }

  /** Changes a JSON file of the folder. */
  edit(file: string, changes: Readonly<Record<string, unknown>>): void {
    const path = join(this.folder, file);
    writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...changes }));
  }

  /** @throws Error where the folder is refused */
  async model(variant = 'fp32'): Promise<Model> {
    const { models, problems } = await openRepository(this.root);
    const found = models.find((model) => model.variant === variant);
    if (found === undefined) throw new Error(problems[0]?.message ?? `there is no variant ${variant}`);
    return found;
  }

  remove(): void {
    rmSync(this.root, { recursive: true });
  }
}

export function dataOf(calibration: readonly Example[], choice: readonly Example[], labelled = false): Data {
  const of = (items: readonly Example[], own = labelled) => ({ kind: items[0]?.kind ?? 'text', items, labelled: own });
  return {
    file: 'texts.jsonl',
    sha256: '0'.repeat(64),
    calibration: of(calibration),
    choice: of(choice),
    verdict: of([]),
  };
}

/** One pass over padded texts; the inputs are those of the three usual names that the graph has. Outputs by name, as floats. */
export async function pass(
  runtime: Runtime,
  graph: OnnxModel | string,
  texts: readonly (readonly number[])[],
  { padId = 0, more = {} }: { readonly padId?: number; readonly more?: Readonly<Record<string, Tensor>> } = {},
): Promise<Record<string, number[]>> {
  const session = await runtime.createSession(typeof graph === 'string' ? graph : serialiseModel(graph));
  try {
    const width = texts.reduce((most, { length }) => Math.max(most, length), 0);
    const tensor = (value: (ids: readonly number[], at: number) => number): Tensor => ({
      type: 'int64',
      dims: [texts.length, width],
      data: BigInt64Array.from(
        texts.flatMap((ids) => Array.from({ length: width }, (_, at) => BigInt(value(ids, at)))),
      ),
    });
    const feeds: Record<string, Tensor> = {
      input_ids: tensor((ids, at) => ids[at] ?? padId),
      attention_mask: tensor((ids, at) => Number(at < ids.length)),
      token_type_ids: tensor(() => 0),
      ...more,
    };
    const own = Object.fromEntries(session.inputs.map(({ name }) => [name, feeds[name]!]));
    const outputs = await session.run(own);
    return Object.fromEntries(
      Object.entries(outputs).map(([name, { data }]) => [name, Array.from(data as ArrayLike<number | bigint>, Number)]),
    );
  } finally {
    await session.release();
  }
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return Array.from(a).reduce((most, value, n) => Math.max(most, Math.abs(value - b[n]!)), 0);
}
