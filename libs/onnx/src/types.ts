/**
 * An ONNX model as plain data that can be edited. What is not modelled here (doc strings, training information, functions,
 * newer fields) is kept as the bytes it came as (`extra`) and written back unchanged.
 */
import type { OnnxType } from './element-types.js';
import type { TensorData } from './tensor-data.js';

export interface Model {
  irVersion: number;
  producer: string;
  /** Operator set versions by domain; '' is ONNX's own. */
  opsets: Map<string, number>;
  metadata: Map<string, string>;
  graph: Graph;
  extra: Extra;
}

export interface Graph {
  name: string;
  /** In topological order. */
  nodes: Node[];
  inputs: ValueInfo[];
  outputs: ValueInfo[];
  /** Types and shapes of values in between, as far as the file tells. */
  valueInfos: ValueInfo[];
  /** Constants by name. */
  initializers: Map<string, Tensor>;
  extra: Extra;
}

export interface Node {
  name: string;
  op: string;
  /** '' is ONNX's own; `com.microsoft` has ONNX Runtime's. */
  domain: string;
  /** Names of values; '' where an optional input is left out. */
  inputs: string[];
  outputs: string[];
  attributes: Map<string, Attribute>;
  extra: Extra;
}

export type Attribute =
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'int'; readonly value: bigint }
  /** Texts are UTF-8 nearly always, and bytes where an operator keeps a cache of its own. */
  | { readonly type: 'string'; readonly value: Uint8Array }
  | { readonly type: 'tensor'; readonly value: Tensor }
  | { readonly type: 'graph'; readonly value: Graph }
  | { readonly type: 'floats'; readonly value: Iterable<number> }
  | { readonly type: 'ints'; readonly value: Iterable<bigint> }
  | { readonly type: 'strings'; readonly value: readonly Uint8Array[] }
  | { readonly type: 'tensors'; readonly value: readonly Tensor[] }
  | { readonly type: 'graphs'; readonly value: readonly Graph[] }
  /** Sparse tensors, types, and references of function bodies: kept, not understood. */
  | { readonly type: 'other'; readonly kind: number; readonly fields: Extra };

export interface Tensor {
  readonly type: OnnxType;
  readonly dims: readonly number[];
  readonly data: TensorData;
  /** Of a string tensor, whose `data` is empty. */
  readonly strings?: readonly Uint8Array[];
}

/** A size, a name that stands for one, or '' where nothing is known. */
export type Dim = number | string;

export interface ValueInfo {
  readonly name: string;
  /** What is no tensor keeps its type as bytes in `extra`. */
  readonly type: OnnxType | OtherType;
  /** Null where even the rank is unknown. */
  readonly shape: readonly Dim[] | null;
  readonly extra: Extra;
}

export type OtherType = 'sequence' | 'map' | 'optional' | 'sparse' | 'unknown';

/** Fields as they were read, each with its tag. */
export type Extra = readonly Uint8Array[];
