/**
 * What rules write to: gradients of values that are added up from all who read them, and the nodes that compute them. Runs
 * backwards over the graph (reverse mode: Griewank and Walther, Evaluating Derivatives, 2008, chapter 3).
 */
import { type Attributes, type Dim, type Graph, GraphBuilder, type Model, type Node, type Value } from '@shoal/onnx';
import { unsupported, untrainable } from '../errors.js';
import type { Shapes } from '../graph/shapes.js';
import { type Arrangements, arrangementsOf, type RowsOf } from './arrangements.js';

/** Gives the inputs of `node` their parts of the gradient, from the gradients of its outputs; undefined: nothing depends on it. */
export type Rule = (t: Tape, node: Node, gradients: readonly (Value | undefined)[]) => void;

/** The rule of an operator whose first output alone has a gradient. */
export function byFirst(rule: (t: Tape, node: Node, dy: Value) => void): Rule {
  return (t, node, [dy]) => {
    if (dy !== undefined) rule(t, node, dy);
  };
}

type Shape = readonly Dim[];

interface Scattered {
  /** int64 [n] */
  readonly indices: Value;
  /** [n, ...rest] */
  readonly updates: Value;
}

export class Tape {
  readonly g: GraphBuilder;
  readonly #graph: Graph;
  readonly #shapes: Shapes;
  readonly #needed: ReadonlySet<string>;
  readonly #arrangements: Arrangements | undefined;
  readonly #parts = new Map<string, Value[]>();
  readonly #scattered = new Map<string, Scattered[]>();
  readonly #arranged = new Map<string, (Value | undefined)[]>();

  /** `needed`: values that depend on what gradients are wanted by. */
  constructor(model: Model, shapes: Shapes, needed: ReadonlySet<string>) {
    this.g = new GraphBuilder(model);
    this.#graph = model.graph;
    this.#shapes = shapes;
    this.#needed = needed;
    this.#arrangements = arrangementsOf(model.graph);
  }

  op(op: string, inputs: readonly Value[], attributes: Attributes = {}): Value {
    return this.g.op(op, inputs, attributes);
  }

  mul(a: Value, b: Value | number): Value {
    return this.op('Mul', [a, typeof b === 'number' ? this.g.scalar(b) : b]);
  }

  ints(values: readonly number[]): Value {
    return this.g.ints(values);
  }

  scalar(value: number): Value {
    return this.g.scalar(value);
  }

  /** Of a value of the forward graph. */
  shape(name: Value): Shape {
    const known = this.#shapes.get(name);
    if (known === undefined) throw untrainable(`nothing is known of the value ${name}`);
    return known.shape;
  }

  type(name: Value): string | undefined {
    return this.#shapes.get(name)?.type;
  }

  wants(name: Value): boolean {
    return this.#needed.has(name);
  }

  /** Adds `value` of shape `shape` to the gradient of `name`, summed over the axes along which `name` was broadcast. */
  give(name: Value, value: Value, shape: Shape): void {
    if (!this.wants(name)) return;
    if (this.type(name) !== 'float32') {
      throw untrainable(`the value ${name} is of type ${this.type(name)}: gradients are made in 32-bit floats only`);
    }
    push(this.#parts, name, this.#unbroadcast(name, value, shape));
  }

  /** Adds rows to the gradient of `name` where it was gathered from along its first axis; rows may meet. */
  scatter(name: Value, indices: Value, updates: Value): void {
    push(this.#scattered, name, { indices, updates });
  }

  /** How `indices` arrange the rows of a batch, where they do nothing else. */
  arrangement(indices: Value): RowsOf | undefined {
    return this.#arrangements?.of(indices);
  }

  /** `scatter` of [n, width], where the indices are known to be an arrangement of rows: nothing has to be added up. */
  arrange(name: Value, way: RowsOf, dy: Value, width: number): void {
    const { places } = this.#arrangements!;
    if (way.kind === 'places') {
      const column = this.op('Reshape', [places, this.ints([-1, 1])]);
      // No reduction: each place is there once.
      this.give(name, this.op('ScatterND', [this.zeros(name), column, dy]), this.shape(name));
      return;
    }
    const parts = this.#arranged.get(name) ?? new Array<Value | undefined>(way.count).fill(undefined);
    const rows = this.op('Gather', [this.op('Reshape', [dy, this.ints([-1, width])]), places]);
    const before = parts[way.n];
    parts[way.n] = before === undefined ? rows : this.op('Add', [before, rows]);
    this.#arranged.set(name, parts);
  }

  /** The whole gradient of a value, which no later node adds to; undefined where nothing depends on it. */
  take(name: Value): Value | undefined {
    const arranged = this.#joined(name);
    const parts = [...(this.#parts.get(name) ?? []), ...(arranged === undefined ? [] : [arranged])];
    const scattered = this.#scattered.get(name) ?? [];
    for (const map of [this.#parts, this.#scattered, this.#arranged]) map.delete(name);
    if (parts.length + scattered.length === 0) return undefined;
    const sum = parts.length === 0 ? this.zeros(name) : parts.reduce((a, b) => this.op('Add', [a, b]));
    // Rows are added to a gradient that is there already: a table that is tied to the head has both.
    return scattered.reduce((base, rows) => this.#scatterAdd(base, rows, this.shape(name)), sum);
  }

  /** Dimensions as a vector: a constant where they are known, else read when the graph runs. */
  dims(name: Value): Value {
    const shape = this.shape(name);
    return shape.every((dim) => typeof dim === 'number') ? this.ints(shape) : this.op('Shape', [name]);
  }

  zeros(name: Value): Value {
    return this.op('ConstantOfShape', [this.dims(name)]);
  }

  /** `value`, of shape `from`, in the shape of `name`: by 0 and −1 where these can say it, so that `name` need not be kept. */
  like(value: Value, from: Shape, name: Value): Value {
    const to = this.shape(name);
    const target = to.map((dim, n) => (typeof dim === 'number' ? dim : dim === from[n] ? 0 : -1));
    // A size of 0 would mean: as it was.
    const told = target.filter((dim) => dim === -1).length <= 1 && !to.includes(0);
    return this.op('Reshape', [value, told ? this.ints(target) : this.op('Shape', [name])]);
  }

  /** Axes counted from the front. */
  axes(axes: readonly number[], rank: number): number[] {
    return axes.map((axis) => (axis < 0 ? axis + rank : axis));
  }

  /** The numbers of a constant of integers; undefined where it is none. */
  integers(name: Value): readonly number[] | undefined {
    const tensor = this.#graph.initializers.get(name);
    if (tensor?.type !== 'int64' && tensor?.type !== 'int32') return undefined;
    const { buffer } = new Uint8Array(tensor.data.bytes());
    return Array.from<bigint | number, number>(
      tensor.type === 'int64' ? new BigInt64Array(buffer) : new Int32Array(buffer),
      Number,
    );
  }

  /** A dimension that has to be the same in all runs. @throws ShoalError `model_invalid` naming the node where it is not */
  fixed(node: Node, dim: Dim | undefined): number {
    if (typeof dim === 'number') return dim;
    throw unsupported(node, 'no gradient where this dimension changes from run to run');
  }

  #joined(name: Value): Value | undefined {
    const parts = this.#arranged.get(name);
    const some = parts?.find((part) => part !== undefined);
    if (parts === undefined || some === undefined) return undefined;
    if (parts.length === 1) return some;
    const whole = parts.map((part) => part ?? this.op('ConstantOfShape', [this.op('Shape', [some])]));
    const [, width] = this.shape(name);
    return this.op('Reshape', [this.op('Concat', whole, { axis: 1 }), this.ints([-1, Number(width)])]);
  }

  /** Not ScatterND with a reduction: on two threads that loses some of what it should add (ONNX Runtime 1.30). */
  #scatterAdd(base: Value, { indices, updates }: Scattered, shape: Shape): Value {
    const column = this.op('Reshape', [indices, this.ints([-1, ...shape.slice(1).map(() => 1)])]);
    const wide = this.op('Expand', [column, this.op('Shape', [updates])]);
    return this.op('ScatterElements', [base, wide, updates], { axis: 0, reduction: 'add' });
  }

  #unbroadcast(name: Value, value: Value, from: Shape): Value {
    const to = this.shape(name);
    const extra = from.length - to.length;
    const fits = extra >= 0 && to.every((dim, n) => dim === 1 || dim === from[n + extra]);
    if (!fits) throw untrainable(`a gradient of shape [${from.join(', ')}] does not fit ${name}, [${to.join(', ')}]`);
    const lead = from.slice(0, extra).map((_, n) => n);
    const ones = to.flatMap((dim, n) => (dim === 1 && from[n + extra] !== 1 ? [n + extra] : []));
    const narrow = ones.length === 0 ? value : this.op('ReduceSum', [value, this.ints(ones)], { keepdims: 1 });
    return lead.length === 0 ? narrow : this.op('ReduceSum', [narrow, this.ints(lead)], { keepdims: 0 });
  }
}

function push<T>(map: Map<string, T[]>, name: string, item: T): void {
  const list = map.get(name);
  if (list === undefined) map.set(name, [item]);
  else list.push(item);
}
