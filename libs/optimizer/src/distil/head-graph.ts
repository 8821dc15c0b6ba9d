/** A head on a text's features as an ONNX graph that takes what the original takes, and gives its logits. */
import { logitsOutput, type Model } from '@shoal/models';
import { type Dim, dataOf, GraphBuilder, type Model as OnnxModel, type Value } from '@shoal/onnx';
import type { Head } from './fit-head.js';
import { idsType } from './static-graph.js';
import { averageOf, exactAverageOf, gatherRows, integerTable, textInputs } from './table-graph.js';
import { featureInputs } from './text-features.js';

/** The graph: `logits` [batch, classes] under the original's name. */
export function headGraph(original: Model, head: Head): OnnxModel {
  const g = new GraphBuilder({ name: 'static head', opset: 21, irVersion: 10 });
  const logits = addHead(g, original, head);
  g.output(logitsOutput(original).name, logits, 'float32', ['batch', head.bias.length]);
  return g.build();
}

export interface HeadOptions {
  /** Of the inputs; left out: any. */
  readonly shape?: readonly Dim[] | undefined;
  /** A text's logits are the same to the last bit in every company. */
  readonly exact?: boolean;
}

/** [batch, classes], with the inputs that it reads. */
export function addHead(g: GraphBuilder, original: Model, head: Head, { shape, exact }: HeadOptions = {}): Value {
  const { weights, bias, space } = head;
  const inputs = textInputs(g, idsType(original), ['attention_mask'], shape);
  const features = featureInputs(g, inputs, space);
  const rows = gatherRows(g, 'head', integerTable(weights, bias.length), features.ids);
  const sums = exact
    ? exactAverageOf(g, rows, features.mask, inputs.mask)
    : averageOf(g, rows, features.mask, { counted: inputs.mask, divisor: 'root' });
  return g.op('Add', [sums, g.constant('head.bias', 'float32', [bias.length], dataOf(Float32Array.from(bias)))]);
}
