/**
 * Weights stored as narrow as they are. Checkpoints come in 16-bit floats nearly always: stored as such, and widened by a Cast
 * that runtimes compute once, when they load the model, the file is half as large and its answers are the same to the bit.
 */
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToFloat16,
  freshName,
  lazyData,
  type Model,
  type Node,
  type Tensor,
  type TensorData,
} from '@shoal/onnx';

/** Smaller ones do not pay for a node. */
const FROM_BYTES = 16 * 1024;
/** `TensorProto.DataType` of float32. */
const FLOAT32 = 1n;

/** Changes `model`, whose weights are read once for it, one at a time. */
export function storeNarrow(model: Model): Model {
  const { graph } = model;
  const narrowed = new Map<TensorData, Narrow | undefined>();
  const casts: Node[] = [];
  for (const [name, tensor] of [...graph.initializers]) {
    if (tensor.type !== 'float32' || tensor.data.byteLength < FROM_BYTES) continue;
    if (!narrowed.has(tensor.data)) narrowed.set(tensor.data, narrow(tensor.data));
    const stored = narrowed.get(tensor.data);
    if (stored === undefined) continue;
    const own = freshName(graph, `${name}.${stored.type}`);
    graph.initializers.delete(name);
    graph.initializers.set(own, { ...tensor, ...stored });
    casts.push({
      name: `${own}/Cast`,
      op: 'Cast',
      domain: '',
      inputs: [own],
      outputs: [name],
      attributes: new Map([['to', { type: 'int', value: FLOAT32 }]]),
      extra: [],
    });
  }
  graph.nodes.unshift(...casts);
  return model;
}

/** Undoes `storeNarrow`, to the bit: weights are 32-bit floats again, under their own names. Changes `model`. */
export function storeWide(model: Model): Model {
  const { graph } = model;
  graph.nodes = graph.nodes.filter(({ op, domain, inputs: [from = ''], outputs: [to = ''] }) => {
    const stored = graph.initializers.get(from);
    if (op !== 'Cast' || domain !== '' || stored === undefined) return true;
    const wide = widen(stored);
    if (wide === undefined) return true;
    graph.initializers.delete(from);
    graph.initializers.set(to, { ...stored, type: 'float32', data: wide });
    return false;
  });
  return model;
}

function widen({ type, data }: Tensor): TensorData | undefined {
  if (type !== 'float16' && type !== 'bfloat16') return undefined;
  const convert = type === 'float16' ? float16ToFloat32 : bfloat16ToFloat32;
  return lazyData(2 * data.byteLength, () => convert(halvesOf(data)));
}

interface Narrow {
  readonly type: 'float16' | 'bfloat16';
  readonly data: TensorData;
}

/** Undefined where the numbers need their 32 bits. */
function narrow(data: TensorData): Narrow | undefined {
  const bits = bitsOf(data);
  const as = (type: Narrow['type'], convert: (bits: Uint32Array) => Uint16Array): Narrow => {
    return { type, data: lazyData(data.byteLength / 2, () => convert(bitsOf(data))) };
  };
  if (bits.every(fitsFloat16)) return as('float16', toFloat16);
  return bits.every((value) => (value & 0xffff) === 0) ? as('bfloat16', toBfloat16) : undefined;
}

function toFloat16(bits: Uint32Array): Uint16Array {
  const floats = new Float32Array(bits.buffer, bits.byteOffset, bits.length);
  const halves = new Uint16Array(bits.length);
  for (let i = 0; i < halves.length; i++) halves[i] = float32ToFloat16(floats[i]!);
  return halves;
}

/** A bfloat16 is the upper half of a float32. */
function toBfloat16(bits: Uint32Array): Uint16Array {
  const halves = new Uint16Array(bits.length);
  for (let i = 0; i < halves.length; i++) halves[i] = bits[i]! >>> 16;
  return halves;
}

/** Whether a float32 of these bits is a float16 too, subnormal ones included. */
function fitsFloat16(bits: number): boolean {
  if ((bits & 0x7fffffff) === 0) return true;
  const exponent = ((bits >>> 23) & 0xff) - 127;
  if (exponent > 15 || exponent < -24) return false;
  // Below 2^-14 a float16 loses one bit of its 10 for each power of two.
  const dropped = 13 + Math.max(0, -14 - exponent);
  return (bits & ((1 << dropped) - 1)) === 0;
}

function bitsOf(data: TensorData): Uint32Array {
  const bytes = data.bytes();
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}

function halvesOf(data: TensorData): Uint16Array {
  const bytes = data.bytes();
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
}
