/** wordnet-topic with faster variants and what was measured of them: each answers otherwise, so that an answer tells who gave it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { QualityJson, VariantQuality } from '@shoal/contracts';
import { identityOf } from '@shoal/models';
import { GraphBuilder, loadModel, saveModel } from '@shoal/onnx';

/** Variant → upper bound of its loss, how much faster it is said to be, and what its graph makes of each logit. */
export const VARIANTS = {
  int8: { bound: 0.005, ratio: 1.5, op: 'Neg' },
  layers2: { bound: 0.02, ratio: 2.5, op: 'Abs' },
} as const;

/** Upper bounds by variant; the original has none. */
export type Bounds = Readonly<Partial<Record<keyof typeof VARIANTS, number>>>;

/** Adds them to the version in `folder`, which has its graph in onnx/model.onnx. */
export async function addVariants(folder: string): Promise<void> {
  for (const [variant, { op }] of Object.entries(VARIANTS)) {
    const model = loadModel(join(folder, 'onnx/model.onnx'));
    const [output] = model.graph.outputs;
    const { nodes } = model.graph;
    const last = nodes.find(({ outputs }) => outputs.includes(output!.name))!;
    last.outputs = last.outputs.map((name) => (name === output!.name ? 'before_it' : name));
    nodes.push({
      ...{ name: op, op, domain: '', inputs: ['before_it'], outputs: [output!.name] },
      ...{ attributes: new Map(), extra: [] },
    });
    saveModel(model, join(folder, `onnx/model_${variant}.onnx`));
  }
  await writeQuality(folder);
}

/** A variant that tells of texts whose likeliest class has less than 0.5 that a teacher answered them. */
export function addCascade(folder: string): void {
  const model = loadModel(join(folder, 'onnx/model.onnx'));
  const g = new GraphBuilder(model);
  const [logits] = model.graph.outputs;
  const unsure = g.within('cascade', () => {
    const shares = g.op('Softmax', [logits!.name], { axis: -1 });
    const best = g.ops('TopK', [shares, g.ints([1])], 2, { axis: -1, largest: 1 })[0]!;
    return g.op('Less', [g.op('Squeeze', [best, g.ints([1])]), g.scalar(0.5)]);
  });
  g.output('escalated', unsure, 'bool', ['batch']);
  saveModel(model, join(folder, 'onnx/model_cascade10.onnx'));
}

/** Writes `quality.json`, with other bounds where they are given. */
export async function writeQuality(folder: string, bounds: Bounds = {}): Promise<void> {
  const beside = await identityOf(join(folder, 'onnx/model.onnx'));
  const variants: Record<string, VariantQuality> = {};
  for (const [variant, { bound, ratio }] of Object.entries(VARIANTS)) {
    const own = bounds[variant as keyof typeof VARIANTS] ?? bound;
    variants[variant] = {
      ...{ graph: await identityOf(join(folder, `onnx/model_${variant}.onnx`)), beside },
      ...{ verdict: 'passed', method: 'by hand', machine: 'none', measured: '2026-01-05T09:30:00Z' },
      loss: { metric: 'accuracy', mean: own / 2, bound: own, allowed: 1, texts: 1000 },
      speeds: [{ batch: 1, tokens: 16, ratio, low: ratio, high: ratio }],
      data: { file: 'eval.jsonl', sha256: '0'.repeat(64) },
    };
  }
  const quality: QualityJson = { original: 'fp32', variants };
  writeFileSync(join(folder, 'quality.json'), JSON.stringify(quality));
}
