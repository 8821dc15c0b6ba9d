/**
 * A second look, at the graph itself: an operator that for certain combines rows, whatever the values were that made-up rows
 * had. It follows the batch's dimension from the inputs through operators whose shapes are plain, and says nothing of what is
 * behind others. It refuses; it never proves.
 */
import { type Graph, type GraphIndex, indexGraph, intOf, intsOf, type Node, type Tensor } from '@shoal/onnx';

/** Where the rows of a value are. */
interface Rows {
  readonly axis: number;
  readonly rank: number;
}

const UNARY = new Set(
  (
    'Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast Ceil Celu Clip Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish ' +
    'Identity IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Tan ' +
    'Tanh ThresholdedRelu'
  ).split(' '),
);
const BROADCAST = new Set(
  (
    'Add And BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or Pow PRelu ' +
    'Sub Sum Where Xor'
  ).split(' '),
);
const REDUCING = /^(Reduce\w+|ArgMax|ArgMin)$/;
/** Along one axis: the attribute, or the last one. */
const ALONG: ReadonlySet<string> = new Set(['Softmax', 'LogSoftmax', 'Hardmax', 'TopK']);

/** Longer lists are none of axes. */
const MAX_AXES = 64;

/** Rounded by the smallest and largest value of all that goes in, wherever rows are: neighbours change an answer. */
const ONE_RANGE = /^DynamicQuantize/;

/** The first operator that combines rows, in words; null where none is seen. */
export function findMixing(graph: Graph): string | null {
  const walk = new Walk(graph);
  for (const node of graph.nodes) {
    const name = `${node.op} ${node.name}`.trim();
    const rounds = oneRangeIn(node);
    if (rounds !== undefined) {
      const found = `${rounds.op} ${rounds.name}`.trim();
      return `${found} (one range for a whole batch; int8 made from a checkpoint has one per token)`;
    }
    if (walk.combines(node)) return name;
  }
  return null;
}

/** The node, or one of the graphs within it, which may not run for what rows are tried. */
function oneRangeIn(node: Node): Node | undefined {
  if (ONE_RANGE.test(node.op)) return node;
  for (const attribute of node.attributes.values()) {
    const graphs = attribute.type === 'graph' ? [attribute.value] : attribute.type === 'graphs' ? attribute.value : [];
    for (const inner of graphs.flatMap(({ nodes }) => nodes)) {
      const found = oneRangeIn(inner);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

class Walk {
  readonly #graph: Graph;
  readonly #index: GraphIndex;
  readonly #rows = new Map<string, Rows>();

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#index = indexGraph(graph);
    for (const { name, shape } of graph.inputs) {
      const rank = shape?.length ?? 0;
      if (rank > 0 && !graph.initializers.has(name)) this.#rows.set(name, { axis: 0, rank });
    }
  }

  /** Whether `node` combines rows; where it does not, its outputs are followed as far as they can be. */
  combines(node: Node): boolean {
    const found = this.#follow(node);
    if (found === 'combines') return true;
    const [output = ''] = node.outputs;
    if (found !== undefined && output !== '') this.#rows.set(output, found);
    return false;
  }

  #follow(node: Node): Rows | 'combines' | undefined {
    const { op, domain, inputs } = node;
    const x = this.#rows.get(inputs[0] ?? '');
    if (domain === '' && BROADCAST.has(op)) return this.#broadcast(inputs);
    if (domain === '' && (op === 'MatMul' || op === 'Gemm')) return this.#multiply(node);
    if (domain !== '' || x === undefined) return undefined;
    if (UNARY.has(op)) return x;
    if (op === 'NonZero') return 'combines';
    if (ALONG.has(op)) return this.#axisOf(node, x, -1) === x.axis ? 'combines' : x;
    if (op === 'CumSum')
      return this.#constant(inputs[1])?.some((axis) => axis === x.axis || axis + x.rank === x.axis) ? 'combines' : x;
    if (op === 'BatchNormalization') return intOf(node, 'training_mode', 0) === 1 ? 'combines' : x;
    if (op === 'LayerNormalization') return this.#axisOf(node, x, -1) <= x.axis ? 'combines' : x;
    if (op === 'LSTM' || op === 'GRU' || op === 'RNN') {
      return x.axis === (intOf(node, 'layout', 0) === 1 ? 0 : 1) ? undefined : 'combines';
    }
    if (REDUCING.test(op)) return this.#reduce(node, x);
    if (op === 'Transpose') {
      const order = intsOf(node, 'perm') ?? Array.from({ length: x.rank }, (_, i) => x.rank - 1 - i);
      return { axis: order.indexOf(x.axis), rank: x.rank };
    }
    return undefined;
  }

  #axisOf(node: Node, { rank }: Rows, standard: number): number {
    const axis = intOf(node, 'axis', standard);
    return axis < 0 ? axis + rank : axis;
  }

  #reduce(node: Node, { axis, rank }: Rows): Rows | 'combines' | undefined {
    const arg = node.op.startsWith('Arg');
    const axes = arg ? [intOf(node, 'axis', 0)] : (intsOf(node, 'axes') ?? this.#constant(node.inputs[1]));
    const given = arg || node.attributes.has('axes') || (node.inputs[1] ?? '') !== '';
    if (!given) return intOf(node, 'noop_with_empty_axes', 0) === 1 ? { axis, rank } : 'combines';
    if (axes === undefined) return undefined;
    const gone = axes.map((at) => (at < 0 ? at + rank : at));
    if (gone.includes(axis)) return 'combines';
    if (intOf(node, 'keepdims', 1) === 1) return { axis, rank };
    return { axis: axis - gone.filter((at) => at < axis).length, rank: rank - gone.length };
  }

  /** Rows against rows: in the same place of the result, or each with every other one. */
  #broadcast(inputs: readonly string[]): Rows | 'combines' | undefined {
    const known = inputs
      .filter((name) => name !== '')
      .map((name) => ({ rows: this.#rows.get(name), rank: this.#rankOf(name) }));
    if (known.some(({ rank }) => rank === undefined)) return undefined;
    const rank = known.reduce((most, input) => Math.max(most, input.rank!), 0);
    const places = new Set(known.flatMap(({ rows }) => (rows ? [rank - rows.rank + rows.axis] : [])));
    if (places.size > 1) return 'combines';
    const [axis] = places;
    return axis === undefined ? undefined : { axis, rank };
  }

  #multiply(node: Node): Rows | 'combines' | undefined {
    const [a = '', b = ''] = node.inputs;
    const [left, right] = [this.#rows.get(a), this.#rows.get(b)];
    const ranks = [this.#rankOf(a), this.#rankOf(b)];
    if (ranks.some((rank) => rank === undefined || rank < 2)) return undefined;
    const rank = Math.max(ranks[0]!, ranks[1]!);
    const turned = (name: string) => (node.op === 'Gemm' && intOf(node, name, 0) === 1 ? 1 : 0);
    // Counted from the end: the columns of the one and the rows of the other are summed over.
    const fromEnd = (rows: Rows | undefined, turn: number) => {
      if (rows === undefined) return undefined;
      const place = rows.rank - rows.axis;
      return place <= 2 && turn === 1 ? 3 - place : place;
    };
    const [l, r] = [fromEnd(left, turned('transA')), fromEnd(right, turned('transB'))];
    if (l === 1 || r === 2 || (l !== undefined && r !== undefined && l !== r)) return 'combines';
    const place = l ?? r;
    return place === undefined ? undefined : { axis: rank - place, rank };
  }

  #rankOf(name: string): number | undefined {
    return this.#rows.get(name)?.rank ?? this.#tensor(name)?.dims.length;
  }

  #constant(name = ''): readonly number[] | undefined {
    const tensor = this.#tensor(name);
    if (tensor?.type !== 'int64' || tensor.data.byteLength > MAX_AXES * 8) return undefined;
    const bytes = tensor.data.bytes().slice();
    return [...new BigInt64Array(bytes.buffer)].map(Number);
  }

  /** A constant: one of the graph's, or what a Constant node holds. */
  #tensor(name: string): Tensor | undefined {
    const own = this.#graph.initializers.get(name);
    if (own !== undefined) return own;
    const node = this.#index.producer(name);
    const value = node?.op === 'Constant' ? node.attributes.get('value') : undefined;
    return value?.type === 'tensor' ? value.value : undefined;
  }
}
