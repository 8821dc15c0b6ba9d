/**
 * Writes ONNX models with weights of any size: enough of onnx.proto (IR version 8) for the graphs of this folder. Weights
 * go into the file as they lie in memory.
 */

type Data = Float32Array | BigInt64Array;

export interface Initializer {
  readonly dims: readonly number[];
  readonly data: Data;
}

export type Attribute = number | readonly number[] | { readonly float: number };

export interface Node {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

export interface ValueInfo {
  readonly name: string;
  readonly type: 'float32' | 'int64';
  readonly shape: readonly (number | string)[];
}

export interface Graph {
  readonly nodes: readonly Node[];
  readonly initializers: Readonly<Record<string, Initializer>>;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly opset: number;
}

/** TensorProto.DataType */
const ELEMENT_CODE = { float32: 1, int64: 7 } as const;
/** AttributeProto.AttributeType */
const FLOAT = 1;
const INT = 2;
const INTS = 7;

/** The bytes of a `.onnx` file. */
export function writeOnnx(graph: Graph): Buffer {
  const body = [
    ...graph.nodes.map((node) => bytes(1, nodeProto(node))),
    text(2, 'graph'),
    ...Object.entries(graph.initializers).map(([name, initializer]) => bytes(5, tensorProto(name, initializer))),
    ...graph.inputs.map((info) => bytes(11, valueInfoProto(info))),
    ...graph.outputs.map((info) => bytes(12, valueInfoProto(info))),
  ];
  const opset = integer(2, graph.opset);
  return Buffer.concat([integer(1, 8), text(2, 'shoal-bench'), bytes(7, Buffer.concat(body)), bytes(8, opset)]);
}

function nodeProto({ op, inputs, output, attributes = {} }: Node): Buffer {
  return Buffer.concat([
    ...inputs.map((name) => text(1, name)),
    text(2, output),
    text(4, op),
    ...Object.entries(attributes).map(([name, value]) => bytes(5, attributeProto(name, value))),
  ]);
}

function attributeProto(name: string, value: Attribute): Buffer {
  if (typeof value === 'number') return Buffer.concat([text(1, name), integer(3, value), integer(20, INT)]);
  if ('float' in value) {
    const float = Buffer.alloc(4);
    float.writeFloatLE(value.float);
    return Buffer.concat([text(1, name), varint((2 << 3) | 5), float, integer(20, FLOAT)]);
  }
  return Buffer.concat([text(1, name), ...value.map((n) => integer(8, n)), integer(20, INTS)]);
}

function tensorProto(name: string, { dims, data }: Initializer): Buffer {
  const type = data instanceof Float32Array ? ELEMENT_CODE.float32 : ELEMENT_CODE.int64;
  const raw = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.concat([...dims.map((dim) => integer(1, dim)), integer(2, type), text(8, name), bytes(9, raw)]);
}

/** ValueInfoProto{name, type: TypeProto{tensor_type{elem_type, shape{dim{dim_value | dim_param}}}}} */
function valueInfoProto({ name, type, shape }: ValueInfo): Buffer {
  const dims = shape.map((dim) => bytes(1, typeof dim === 'number' ? integer(1, dim) : text(2, dim)));
  const tensor = Buffer.concat([integer(1, ELEMENT_CODE[type]), bytes(2, Buffer.concat(dims))]);
  return Buffer.concat([text(1, name), bytes(2, bytes(1, tensor))]);
}

function bytes(field: number, body: Buffer): Buffer {
  return Buffer.concat([varint((field << 3) | 2), varint(body.length), body]);
}

function text(field: number, value: string): Buffer {
  return bytes(field, Buffer.from(value));
}

/** Negative numbers take ten bytes, as two's complement of 64 bits. */
function integer(field: number, value: number): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

function varint(value: number): Buffer {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest >= 128n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return Buffer.from(out);
}
