/** The static student of an embedding model as an ONNX graph: a text's vector is the sum of its tokens' rows, divided by what they count. */
import { ShoalError } from '@shoal/contracts';
import { embeddingOutputs, type Model } from '@shoal/models';
import { dataOf, GraphBuilder, type Model as OnnxModel, type OnnxType } from '@shoal/onnx';
import { averageOf, gatherRows, integerTable, textInputs } from './table-graph.js';

/** Where the loader looks for a vector that the graph pooled, unless shoal.json names another output. */
const OUTPUT = 'sentence_embedding';

export interface StaticTable {
  /** [vocabulary, dimensions] */
  readonly table: Float32Array;
  readonly dimensions: number;
  /** [vocabulary]: what a token counts where the sum of rows is divided. */
  readonly counts: Float32Array;
}

/** A table as a graph that takes what `original` takes, and gives `sentence_embedding`. */
export function staticGraph(original: Model, { table, dimensions, counts }: StaticTable): OnnxModel {
  const g = new GraphBuilder({ name: 'static student', opset: 21, irVersion: 10 });
  const masks = original.text?.prompts.pooled === false ? ['attention_mask', 'pooling_mask'] : ['attention_mask'];
  const inputs = textInputs(g, idsType(original), masks);
  const rows = gatherRows(g, 'tokens', integerTable(table, dimensions), inputs.ids);
  const all = g.constant('counts', 'float32', [counts.length], dataOf(counts));
  const counted = g.op('Mul', [g.op('Gather', [all, inputs.ids]), inputs.mask]);
  const pooled = averageOf(g, rows, inputs.mask, { counted, divisor: 'count' });
  g.output(original.shoal.output ?? OUTPUT, pooled, 'float32', ['batch', dimensions]);
  return g.build();
}

/** Why there can be no static student; null where there can. */
export function refusal(model: Model): string | null {
  if (model.text === null) return `it serves ${model.task}: it has no tokenizer`;
  if (model.text.vocabSize === null) return 'config.json has no vocab_size';
  if (!model.inputs.some(({ name }) => name === 'attention_mask')) {
    return 'its graph has no attention_mask, so that texts in one pass could not be told from padding';
  }
  if (model.task !== 'feature-extraction') return null;
  const { tokens, pooled } = embeddingOutputs(model);
  return tokens === null && pooled === null ? 'its graph gives no vectors' : null;
}

/** @throws ShoalError `model_invalid` where there is none */
export function idsType({ name, inputs }: Model): OnnxType {
  const type = inputs.find((input) => input.name === 'input_ids')?.type;
  if (type === 'int64' || type === 'int32') return type;
  throw new ShoalError('model_invalid', `${name}: the graph has no input_ids`);
}
