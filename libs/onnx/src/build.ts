/** Builds a graph node by node. Values are the names of what nodes put out, so that code reads like the formula. */
import type { OnnxType } from './element-types.js';
import { dataOf, type TensorData } from './tensor-data.js';
import type { Attribute, Dim, Graph, Model, Node, Tensor } from './types.js';
import { validateModel } from './validate.js';

/** The name of a value; '' leaves an optional input out. */
export type Value = string;

/** A plain number is an integer, as most attributes are; fractions are wrapped by `float`. */
export type AttributeValue = number | bigint | string | readonly number[] | readonly string[] | Attribute;

export type Attributes = Readonly<Record<string, AttributeValue>>;

export function float(value: number): Attribute {
  return { type: 'float', value };
}

export interface BuilderOptions {
  readonly name: string;
  /** Version of ONNX's own operators. */
  readonly opset: number;
  readonly irVersion: number;
  /** Further domains, by version: `{ 'com.microsoft': 1 }`. */
  readonly domains?: Readonly<Record<string, number>>;
  /** A constant that there is may be asked for again: its name is enough to know that the data are the same. */
  readonly repeats?: boolean;
}

export class GraphBuilder {
  readonly #model: Model;
  readonly #shared = new Map<string, Value>();
  readonly #repeats: boolean = false;
  readonly #counts = new Map<string, number>();
  #scope = '';

  /** Of a new graph, or of one that there is, which is gone on with (and changed). */
  constructor(from: BuilderOptions | Model) {
    if ('graph' in from) {
      this.#model = from;
      return;
    }
    const { name, opset, irVersion, domains = {}, repeats = false } = from;
    this.#repeats = repeats;
    const graph: Graph = {
      name,
      nodes: [],
      inputs: [],
      outputs: [],
      valueInfos: [],
      initializers: new Map(),
      extra: [],
    };
    const opsets = new Map([['', opset], ...Object.entries(domains)]);
    this.#model = { irVersion, producer: 'shoal', opsets, metadata: new Map(), graph, extra: [] };
  }

  get metadata(): Map<string, string> {
    return this.#model.metadata;
  }

  /** Names of what is added within `build` begin with `scope`. */
  within<T>(scope: string, build: () => T): T {
    const before = this.#scope;
    this.#scope = `${before}${scope}/`;
    try {
      return build();
    } finally {
      this.#scope = before;
    }
  }

  input(name: string, type: OnnxType, shape: readonly Dim[]): Value {
    this.#model.graph.inputs.push({ name, type, shape, extra: [] });
    return name;
  }

  /** `value` leaves the graph under the name `name`. */
  output(name: string, value: Value, type: OnnxType, shape: readonly Dim[]): void {
    this.#rename(value, name);
    this.#model.graph.outputs.push({ name, type, shape, extra: [] });
  }

  /** A constant under a name of its own; the same name may be asked for again with the same data. */
  constant(name: string, type: OnnxType, dims: readonly number[], data: TensorData): Value {
    const { initializers } = this.#model.graph;
    const there = initializers.get(name);
    if (there !== undefined && there.data !== data) {
      const same = there.type === type && there.dims.join() === dims.join();
      if (!this.#repeats || !same) throw new Error(`there are two constants ${name}`);
      return name;
    }
    initializers.set(name, { type, dims, data });
    return name;
  }

  /** A small constant of 64-bit integers, shared by all who ask for the same; without dims a vector. */
  ints(values: readonly number[], dims: readonly number[] = [values.length]): Value {
    return this.#small(`int64 ${dims} ${values}`, 'int64', dims, BigInt64Array.from(values, BigInt));
  }

  /** A single number, shared in the same way. */
  scalar(value: number, type: 'float32' | 'int64' | 'int32' = 'float32'): Value {
    const array = { float32: Float32Array, int64: BigInt64Array, int32: Int32Array }[type];
    const data =
      array === BigInt64Array ? BigInt64Array.of(BigInt(value)) : (array as Float32ArrayConstructor).of(value);
    return this.#small(`${type} ${value}`, type, [], data);
  }

  /** An ONNX operator with one output. */
  op(op: string, inputs: readonly Value[], attributes: Attributes = {}): Value {
    return this.#add('', op, inputs, 1, attributes)[0]!;
  }

  /** An ONNX operator with several outputs. */
  ops(op: string, inputs: readonly Value[], outputs: number, attributes: Attributes = {}): Value[] {
    return this.#add('', op, inputs, outputs, attributes);
  }

  /** An operator of ONNX Runtime's own. */
  contrib(op: string, inputs: readonly Value[], outputs: number, attributes: Attributes = {}): Value[] {
    return this.#add('com.microsoft', op, inputs, outputs, attributes);
  }

  /** @throws ShoalError `model_invalid` where something is missing */
  build(): Model {
    validateModel(this.#model);
    return this.#model;
  }

  #add(domain: string, op: string, inputs: readonly Value[], outputs: number, attributes: Attributes): Value[] {
    const count = this.#counts.get(this.#scope + op) ?? 0;
    this.#counts.set(this.#scope + op, count + 1);
    const name = `${this.#scope}${op}${count === 0 ? '' : `_${count}`}`;
    const made = Array.from({ length: outputs }, (_, n) => (n === 0 ? `${name}_out` : `${name}_out${n}`));
    // Trailing inputs that are left out are not written.
    const last = inputs.findLastIndex((input) => input !== '');
    const node: Node = {
      name,
      op,
      domain,
      inputs: inputs.slice(0, last + 1),
      outputs: made,
      attributes: new Map(Object.entries(attributes).map(([key, value]) => [key, toAttribute(value)])),
      extra: [],
    };
    this.#model.graph.nodes.push(node);
    return [...made];
  }

  #small(key: string, type: OnnxType, dims: readonly number[], data: ArrayBufferView): Value {
    const there = this.#shared.get(key);
    if (there !== undefined) return there;
    const { initializers } = this.#model.graph;
    let number = this.#shared.size;
    while (initializers.has(`const_${number}`)) number += 1;
    const name = `const_${number}`;
    this.#shared.set(key, name);
    initializers.set(name, { type, dims, data: dataOf(data) } satisfies Tensor);
    return name;
  }

  #rename(from: Value, to: Value): void {
    const rename = (names: readonly string[]) => names.map((name) => (name === from ? to : name));
    for (const node of this.#model.graph.nodes) {
      node.inputs = rename(node.inputs);
      node.outputs = rename(node.outputs);
    }
  }
}

function toAttribute(value: AttributeValue): Attribute {
  if (typeof value === 'bigint' || typeof value === 'number') return { type: 'int', value: BigInt(value) };
  if (typeof value === 'string') return { type: 'string', value: new TextEncoder().encode(value) };
  if (!isList(value)) return value;
  const texts = value.filter((item) => typeof item === 'string');
  if (texts.length > 0) return { type: 'strings', value: texts.map((text) => new TextEncoder().encode(text)) };
  return { type: 'ints', value: (value as readonly number[]).map(BigInt) };
}

function isList(value: AttributeValue): value is readonly number[] | readonly string[] {
  return Array.isArray(value);
}
