/** One vector of a text from those of its tokens: for losses of embedders, whose graphs leave pooling to others. */
import { GraphBuilder, type Model } from '@shoal/onnx';
import { refused } from '../errors.js';
import { prepare } from './prepare.js';

/** The output that `pooled` makes. */
export const EMBEDDING = 'embedding';

/**
 * A copy of a model whose output is token vectors [batch, sequence, width]: its only output is `embedding` [batch, width], the mean
 * over the tokens that attention_mask keeps, or the vector of the first token. What is trained on it goes into `model` by
 * `withWeights`, since weights keep their names.
 *
 * @throws ShoalError `invalid_request` where the model gives no token vectors, or takes no attention_mask
 */
export function pooled(model: Model, how: 'mean' | 'first'): Model {
  const copy = prepare(model);
  const { graph } = copy;
  const [tokens, ...others] = graph.outputs;
  const width = tokens?.shape?.[2];
  if (tokens === undefined || others.length > 0 || width === undefined || tokens.type !== 'float32') {
    throw refused('the graph does not have one output of token vectors, float32 [batch, sequence, width]');
  }
  if (!graph.inputs.some(({ name }) => name === 'attention_mask')) throw refused('the graph takes no attention_mask');
  graph.outputs = [];
  const g = new GraphBuilder(copy);
  const vector = g.within('training/pooling', () => {
    if (how === 'first') return g.op('Gather', [tokens.name, g.scalar(0, 'int64')], { axis: 1 });
    const kept = g.op('Cast', [g.op('Unsqueeze', ['attention_mask', g.ints([2])])], { to: 1 });
    const sum = g.op('ReduceSum', [g.op('Mul', [tokens.name, kept]), g.ints([1])], { keepdims: 0 });
    return g.op('Div', [sum, g.op('ReduceSum', [kept, g.ints([1])], { keepdims: 0 })]);
  });
  g.output(EMBEDDING, vector, 'float32', ['batch', width]);
  return copy;
}
