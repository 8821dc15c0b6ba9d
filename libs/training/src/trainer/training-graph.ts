/** The graph of one step of training: a loss, and its gradient by each weight. */
import { GraphBuilder, type Model, removeUnused, sortNodes, type Tensor, type Value, validateModel } from '@shoal/onnx';
import type { Runtime } from '@shoal/onnxruntime';
import { refused } from '../errors.js';
import { differentiate } from '../gradient/differentiate.js';
import { plainAttention } from '../graph/plain-attention.js';
import { prepare } from '../graph/prepare.js';
import { learnShapes, type Probes } from '../graph/shapes.js';
import { checkTrainable, freeWeights } from '../graph/weights.js';
import { addLosses, type Loss } from '../losses/losses.js';

export interface TrainingGraphOptions {
  /**
   * Names of the constants to train, float32 (or stored in 16 bits and widened by a Cast: the Cast's name). Not tables of angles,
   * slopes or masks, which are constants too. What is one weight must be one constant: copies would drift apart.
   */
  readonly trainable: readonly string[];
  /** Two sets of the model's inputs that differ in every dynamic size; `textProbes` makes them for models of texts. */
  readonly probes: Probes;
  readonly losses: readonly Loss[];
}

export interface TrainingGraph {
  /**
   * Inputs: the model's own, the losses' targets, `row_weights` float32 [rows], and each weight by its name. Outputs: `loss` and
   * `norm2` (the squared length of the whole gradient), float32 [], and `gradient:<weight>` for each weight.
   */
  readonly model: Model;
  /** What is trained, as it is before: float32. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Of `trainable`, what the loss does not depend on. */
  readonly unused: readonly string[];
}

/** The name of the output that holds a weight's gradient. */
export function gradientOf(weight: string): string {
  return `gradient:${weight}`;
}

/**
 * Differentiates `source`, which is not changed.
 *
 * @throws ShoalError `model_invalid` naming the node and the operator that no gradient is known of; `invalid_request` naming what
 *   of the options does not fit
 */
export async function trainingGraph(
  runtime: Runtime,
  source: Model,
  { trainable, probes, losses }: TrainingGraphOptions,
): Promise<TrainingGraph> {
  const model = prepare(source);
  plainAttention(model);
  const { graph } = model;
  checkTrainable(graph, trainable);
  const shapes = await learnShapes(runtime, model, probes);
  const { loss, seeds } = addLosses(model, shapes, losses);
  const gradients = differentiate(model, { seeds, by: trainable, shapes });
  if (gradients.size === 0) throw refused('trainable: the losses depend on none of these weights');
  const g = new GraphBuilder(model);
  const norm2 = g.within('training/norm', () =>
    g.op(
      'Sum',
      [...gradients.values()].map((gradient) => g.op('ReduceSumSquare', [gradient], { keepdims: 0 })),
    ),
  );
  const weights = freeWeights(graph, gradients.keys());
  graph.outputs = [];
  const named = new Map<Value, string>();
  putOut(model, named, loss, 'loss', []);
  putOut(model, named, norm2, 'norm2', []);
  for (const [name, gradient] of gradients) putOut(model, named, gradient, gradientOf(name), weights.get(name)!.dims);
  rename(model, named);
  removeUnused(graph);
  sortNodes(graph);
  validateModel(model);
  return { model, weights, unused: trainable.filter((name) => !gradients.has(name)) };
}

/** A value that two outputs have, as the gradients of two weights that are added may be, leaves as itself and as a copy. */
function putOut(
  { graph }: Model,
  named: Map<Value, string>,
  value: Value,
  name: string,
  dims: readonly number[],
): void {
  graph.outputs.push({ name, type: 'float32', shape: dims, extra: [] });
  if (!named.has(value)) named.set(value, name);
  else {
    const node = { name: `training/copy/${name}`, op: 'Identity', domain: '', inputs: [value], outputs: [name] };
    graph.nodes.push({ ...node, attributes: new Map(), extra: [] });
  }
}

function rename({ graph }: Model, named: ReadonlyMap<Value, string>): void {
  const renamed = (values: readonly string[]) => values.map((value) => named.get(value) ?? value);
  for (const node of graph.nodes) {
    node.inputs = renamed(node.inputs);
    node.outputs = renamed(node.outputs);
  }
}
