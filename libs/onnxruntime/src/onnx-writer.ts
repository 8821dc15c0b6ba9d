/**
 * Writes small ONNX models: enough protobuf for the start-up self-test and for tests, so that no graph is a binary nobody
 * can read. Field numbers are those of onnx.proto (IR version 8).
 */
import type { ElementType } from '@shoal/contracts';
import { elementCode } from './element-types.js';
import type { Tensor, TensorInfo } from './types.js';

export interface Node {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Integers, and graphs of branches. */
  readonly attributes?: Readonly<Record<string, number | Graph>>;
}

export interface Graph {
  readonly name?: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly nodes: readonly Node[];
  /** Constants by name; numbers only. */
  readonly constants?: Readonly<Record<string, Tensor>>;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly opset?: number;
}

type Bytes = readonly number[];

/** The bytes of a `.onnx` file. */
export function writeModel(graph: Graph): Uint8Array {
  const metadata = Object.entries(graph.metadata ?? {});
  return Uint8Array.from([
    ...integer(1, 8),
    ...text(2, 'shoal'),
    ...message(7, writeGraph(graph)),
    ...message(8, integer(2, graph.opset ?? 17)),
    ...metadata.flatMap(([key, value]) => message(14, [...text(1, key), ...text(2, value)])),
  ]);
}

/** Shorthand for an input or output. */
export function tensorInfo(name: string, type: ElementType, ...shape: (number | string)[]): TensorInfo {
  return { name, type, shape };
}

function writeGraph({ name, nodes, constants, inputs, outputs }: Graph): Bytes {
  return [
    ...nodes.flatMap((node) => message(1, writeNode(node))),
    ...text(2, name ?? 'graph'),
    ...Object.entries(constants ?? {}).flatMap(([key, tensor]) => message(5, writeConstant(key, tensor))),
    ...inputs.flatMap((info) => message(11, writeInfo(info))),
    ...outputs.flatMap((info) => message(12, writeInfo(info))),
  ];
}

function writeNode({ op, inputs, outputs, attributes }: Node): Bytes {
  return [
    ...inputs.flatMap((name) => text(1, name)),
    ...outputs.flatMap((name) => text(2, name)),
    ...text(4, op),
    ...Object.entries(attributes ?? {}).flatMap(([name, value]) => message(5, writeAttribute(name, value))),
  ];
}

function writeAttribute(name: string, value: number | Graph): Bytes {
  const [INT, GRAPH] = [2, 5];
  return typeof value === 'number'
    ? [...text(1, name), ...integer(3, value), ...integer(20, INT)]
    : [...text(1, name), ...message(6, writeGraph(value)), ...integer(20, GRAPH)];
}

function writeConstant(name: string, { type, dims, data }: Tensor): Bytes {
  if (Array.isArray(data)) throw new TypeError('Constants hold numbers');
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return [
    ...dims.flatMap((dim) => integer(1, dim)),
    ...integer(2, elementCode(type)),
    ...text(8, name),
    ...message(9, raw),
  ];
}

/** ValueInfoProto{name, type: TypeProto{tensor_type{elem_type, shape{dim{dim_value | dim_param}}}}} */
function writeInfo({ name, type, shape }: TensorInfo): Bytes {
  const dims = shape.flatMap((dim) => message(1, typeof dim === 'number' ? integer(1, dim) : dim ? text(2, dim) : []));
  return [...text(1, name), ...message(2, message(1, [...integer(1, elementCode(type)), ...message(2, dims)]))];
}

function message(field: number, body: Iterable<number>): number[] {
  const bytes = [...body];
  return [...varint((field << 3) | 2), ...varint(bytes.length), ...bytes];
}

function text(field: number, value: string): number[] {
  return message(field, new TextEncoder().encode(value));
}

function integer(field: number, value: number): number[] {
  return [...varint(field << 3), ...varint(value)];
}

function varint(value: number): number[] {
  const low = value % 128;
  return value < 128 ? [low] : [low | 128, ...varint(Math.floor(value / 128))];
}
