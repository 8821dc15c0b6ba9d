/**
 * Attention of decoders in operators that gradients are known of. ONNX Runtime's GroupQueryAttention is one kernel without a
 * formula to differentiate; without a cache it is a product, a mask, a softmax and a product.
 */
import { floatOf, type Graph, GraphBuilder, intOf, type Model, type Node, type Value } from '@shoal/onnx';

const NAME = 'com.microsoft';
/** Added to scores of what must not be seen; its exponential is 0 beside any score. */
const HIDDEN = -1e9;

/**
 * Changes `model`: every GroupQueryAttention that reads queries, keys and values side by side, [batch, sequence, width], and
 * neither a cache nor rotary tables, becomes plain operators below `training/attention/`. Tokens see those before them in their
 * row, so padding has to stand on the right, as it has to for the operator itself. Others stay as they are.
 */
export function plainAttention(model: Model): void {
  const { graph } = model;
  if (!graph.nodes.some(isPlain)) return;
  const nodes = graph.nodes;
  graph.nodes = [];
  const g = new GraphBuilder(model);
  const hiding = masks(g);
  for (const node of nodes) {
    if (isPlain(node)) g.within('training/attention', () => expand(g, graph, node, hiding));
    else graph.nodes.push(node);
  }
}

function isPlain(node: Node): boolean {
  if (node.op !== 'GroupQueryAttention' || node.domain !== NAME || intOf(node, 'do_rotary', 0) === 1) return false;
  // Behind them come the lengths of rows, and tables and biases.
  const [packed, key, value, pastKey, pastValue, , , ...others] = node.inputs;
  return packed !== '' && [key, value, pastKey, pastValue, ...others].every((input) => (input ?? '') === '');
}

function expand(g: GraphBuilder, graph: Graph, node: Node, hiding: ReturnType<typeof masks>): void {
  const [packed = ''] = node.inputs;
  const [heads, kvHeads] = [intOf(node, 'num_heads', 0), intOf(node, 'kv_num_heads', 0)];
  const [scale, cap] = [floatOf(node, 'scale', 0), floatOf(node, 'softcap', 0)];
  const byHead = g.op('Reshape', [packed, g.ints([0, 0, heads + 2 * kvHeads, -1])]);
  const parts = g.ops('Split', [byHead, g.ints([heads, kvHeads, kvHeads])], 3, { axis: 2 });
  // Heads that share keys and values stand side by side: [batch, kvHeads, heads of each or 1, sequence, size].
  const [query = '', key = '', value = ''] = parts.map((part, n) =>
    g.op('Transpose', [g.op('Reshape', [part, g.ints([0, 0, kvHeads, n === 0 ? heads / kvHeads : 1, -1])])], {
      perm: n === 1 ? [0, 2, 3, 4, 1] : [0, 2, 3, 1, 4],
    }),
  );
  const scaled = g.op('Mul', [query, scale === 0 ? rootOfSize(g, query) : g.scalar(scale)]);
  const products = g.op('MatMul', [scaled, key]);
  const bounded =
    cap === 0 ? products : g.op('Mul', [g.op('Tanh', [g.op('Div', [products, g.scalar(cap)])]), g.scalar(cap)]);
  const bias = hiding(packed, intOf(node, 'local_window_size', -1));
  const shares = g.op('Softmax', [g.op('Add', [bounded, bias])], { axis: -1 });
  const mixed = g.op('Transpose', [g.op('MatMul', [shares, value])], { perm: [0, 3, 1, 2, 4] });
  g.op('Reshape', [mixed, g.ints([0, 0, -1])]);
  graph.nodes.at(-1)!.outputs = node.outputs.slice(0, 1);
}

/** 1 / √(width of a head), which is not in the node. */
function rootOfSize(g: GraphBuilder, query: Value): Value {
  const size = g.op('Cast', [g.op('Shape', [query], { start: 4, end: 5 })], { to: 1 });
  return g.op('Reciprocal', [g.op('Sqrt', [size])]);
}

/** What is added to scores, [sequence, sequence], made once for each window: tokens that one sees, itself included; −1: all. */
function masks(g: GraphBuilder): (packed: Value, window: number) => Value {
  const made = new Map<number, Value>();
  return (packed, window) => {
    const there = made.get(window);
    if (there !== undefined) return there;
    const length = g.op('Squeeze', [g.op('Shape', [packed], { start: 1, end: 2 })]);
    const steps = g.op('Range', [g.scalar(0, 'int64'), length, g.scalar(1, 'int64')]);
    const [column, row] = [0, 1].map((axis) => g.op('Unsqueeze', [steps, g.ints([axis])]));
    const behind = g.op('Sub', [row!, column!]);
    const later = g.op('Less', [behind, g.scalar(0, 'int64')]);
    const hidden =
      window < 0 ? later : g.op('Or', [later, g.op('GreaterOrEqual', [behind, g.scalar(window, 'int64')])]);
    const bias = g.op('Where', [hidden, g.scalar(HIDDEN), g.scalar(0)]);
    made.set(window, bias);
    return bias;
  };
}
