/** A student of a model that ranks as an ONNX graph that takes what the original takes, and gives one score a pair. */
import { logitsOutput, type Model } from '@shoal/models';
import { dataOf, GraphBuilder, type Model as OnnxModel, type Value } from '@shoal/onnx';
import type { RankHead } from './rank-head.js';
import { idsType } from './static-graph.js';
import { averageOf, gatherRows, integerTable, LEAST, textInputs } from './table-graph.js';

/** `TensorProto.DataType` */
const FLOAT32 = 1;

/** The graph: `logits` [batch, 1] under the original's name. */
export function rankGraph(original: Model, head: RankHead): OnnxModel {
  const { table, columns, weights, separator, factors, bias } = head;
  const g = new GraphBuilder({ name: 'static ranker', opset: 21, irVersion: 10 });
  const { ids, mask } = textInputs(g, idsType(original), ['attention_mask']);
  const ends = g.op('Mul', [asFloat(g, g.op('Equal', [ids, g.scalar(separator, 'int64')])), mask]);
  const plain = g.op('Sub', [mask, ends]);
  const before = g.op('CumSum', [ends, g.scalar(1, 'int64')], { exclusive: 1 });
  const query = g.op('Mul', [plain, asFloat(g, g.op('Less', [before, g.scalar(0.5)]))]);
  const document = g.op('Sub', [plain, query]);
  const rows = gatherRows(g, 'words', integerTable(table, columns), ids);
  const unitMean = (side: Value) => {
    const mean = averageOf(g, rows, side, { counted: side, divisor: 'count' });
    const length = g.op('ReduceL2', [mean, g.ints([-1])], { keepdims: 1 });
    return g.op('Div', [mean, g.op('Max', [length, g.scalar(LEAST)])]);
  };
  const products = g.op('Mul', [unitMean(query), unitMean(document)]);
  const factor = g.constant(
    'factors',
    'float32',
    [columns, 1],
    dataOf(Float32Array.from(factors.subarray(0, columns))),
  );
  const common = commonWords(g, { ids, query, document }, weights);
  const known = g.op('Mul', [common, g.scalar(factors[columns]!)]);
  const score = g.op('Add', [g.op('Add', [g.op('MatMul', [products, factor]), known]), g.scalar(bias)]);
  g.output(logitsOutput(original).name, score, 'float32', ['batch', 1]);
  return g.build();
}

interface Sides {
  readonly ids: Value;
  /** [batch, sequence], 1 where a token is of the query, or of the document. */
  readonly query: Value;
  readonly document: Value;
}

/** [batch, 1]: the weighted share of the query's tokens that the document has. */
function commonWords(g: GraphBuilder, { ids, query, document }: Sides, weights: Float32Array): Value {
  const same = asFloat(
    g,
    g.op('Equal', [g.op('Unsqueeze', [ids, g.ints([2])]), g.op('Unsqueeze', [ids, g.ints([1])])]),
  );
  const there = g.op('ReduceMax', [g.op('Mul', [same, g.op('Unsqueeze', [document, g.ints([1])])]), g.ints([2])], {
    keepdims: 0,
  });
  const all = g.constant('weights', 'float32', [weights.length], dataOf(weights));
  const own = g.op('Mul', [g.op('Gather', [all, ids]), query]);
  const sum = (values: Value) => g.op('ReduceSum', [values, g.ints([1])], { keepdims: 1 });
  return g.op('Div', [sum(g.op('Mul', [own, there])), g.op('Max', [sum(own), g.scalar(LEAST)])]);
}

function asFloat(g: GraphBuilder, value: Value): Value {
  return g.op('Cast', [value], { to: FLOAT32 });
}
