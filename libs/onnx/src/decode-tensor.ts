/** TensorProto: whichever of its fields has the numbers, they become little-endian bytes. */
import { byteLengthOf, countOf, type OnnxType, typeOf } from './element-types.js';
import type { ExternalFiles } from './external-data.js';
import { invalid } from './invalid.js';
import { dataOf, type TensorData } from './tensor-data.js';
import type { Tensor } from './types.js';
import type { Reader } from './wire/reader.js';

const EXTERNAL = 1;

export function decodeTensor(reader: Reader, files: ExternalFiles): { name: string; tensor: Tensor } {
  let name = '';
  let code = 0;
  let external = false;
  let raw: TensorData | undefined;
  const dims: bigint[] = [];
  const floats: number[] = [];
  const doubles: number[] = [];
  const ints: bigint[] = [];
  const strings: Uint8Array[] = [];
  const entries = new Map<string, string>();
  while (reader.next()) {
    const { field } = reader;
    if (field === 1) reader.ints(dims);
    else if (field === 2) code = reader.count('an element type');
    else if (field === 4) reader.fixeds(4, floats);
    else if (field === 5 || field === 7 || field === 11) reader.ints(ints);
    else if (field === 6) strings.push(reader.bytes());
    else if (field === 8) name = reader.string();
    else if (field === 9) raw = reader.data();
    else if (field === 10) reader.fixeds(8, doubles);
    else if (field === 13) addEntry(reader.message(), entries);
    else if (field === 14) external = reader.count('the data location') === EXTERNAL;
    // Segments were never used; doc strings and metadata of a constant matter to no one.
    else reader.raw();
  }
  const what = `tensor ${name || '(unnamed)'}`;
  const type = typeOf(code, what);
  const sizes = dims.map((dim) => Number(dim));
  if (sizes.some((dim) => dim < 0)) throw invalid(`${what} has a negative dimension`);
  const expected = byteLengthOf(type, sizes, what);
  if (expected === undefined) {
    if (external || raw) throw invalid(`${what} holds strings, which can be neither raw nor external`);
    if (strings.length !== countOf(sizes, what))
      throw invalid(`${what} has ${strings.length} strings, not as many as its shape says`);
    return { name, tensor: { type, dims: sizes, data: dataOf(new Uint8Array()), strings } };
  }
  const data = external
    ? files.read(entries, expected, what)
    : (raw ?? dataOf(packed(type, [...floats, ...doubles], ints, what)));
  if (data.byteLength !== expected) {
    throw invalid(`${what} has ${data.byteLength} bytes of data where its type and shape need ${expected}`);
  }
  return { name, tensor: { type, dims: sizes, data } };
}

function addEntry(reader: Reader, entries: Map<string, string>): void {
  let [key, value] = ['', ''];
  while (reader.next()) {
    if (reader.field === 1) key = reader.string();
    else if (reader.field === 2) value = reader.string();
    else reader.raw();
  }
  entries.set(key, value);
}

/** The typed fields hold one element each, but for 4-bit integers (a byte of two) and complex numbers (two floats). */
function packed(type: OnnxType, reals: readonly number[], ints: readonly bigint[], what: string): ArrayBufferView {
  switch (type) {
    case 'float32':
    case 'complex64':
      return Float32Array.from(reals);
    case 'float64':
    case 'complex128':
      return Float64Array.from(reals);
    case 'int64':
    case 'uint64':
      return BigInt64Array.from(ints);
    case 'int32':
    case 'uint32':
      return Int32Array.from(ints, Number);
    case 'int16':
    case 'uint16':
    case 'float16':
    case 'bfloat16':
      return Uint16Array.from(ints, Number);
    case 'string':
      throw invalid(`${what} holds strings`);
    default:
      return Uint8Array.from(ints, Number);
  }
}
