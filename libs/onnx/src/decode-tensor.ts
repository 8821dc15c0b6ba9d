/** TensorProto: whichever of its fields has the numbers, they are little-endian bytes to whoever asks for them. */
import { byteLengthOf, countOf, type OnnxType, typeOf } from './element-types.js';
import type { ExternalFiles } from './external-data.js';
import { invalid } from './invalid.js';
import { joinedData, varintData } from './packed.js';
import { dataOf, type TensorData } from './tensor-data.js';
import type { Tensor } from './types.js';
import type { Reader } from './wire/reader.js';

const EXTERNAL = 1;
/** More than any operator takes. */
export const MAX_RANK = 64;

interface Head {
  readonly name: string;
  /** For messages. */
  readonly what: string;
  readonly type: OnnxType;
  readonly dims: readonly number[];
  /** Bytes of the elements; undefined for strings. */
  readonly expected: number | undefined;
  /** Where the elements are in another file, what says where. */
  readonly entries: ReadonlyMap<string, string> | undefined;
}

export function decodeTensor(reader: Reader, files: ExternalFiles): { name: string; tensor: Tensor } {
  let raw: TensorData | undefined;
  const floats: TensorData[] = [];
  const doubles: TensorData[] = [];
  const ints: TensorData[] = [];
  const strings: Uint8Array[] = [];
  const { name, what, type, dims, expected, entries } = readHead(reader, (field) => {
    if (field === 4) floats.push(reader.packed());
    else if (field === 5 || field === 7 || field === 11) ints.push(reader.packed());
    else if (field === 6) strings.push(reader.bytes());
    else if (field === 9) raw = reader.data();
    else if (field === 10) doubles.push(reader.packed());
  });
  if (expected === undefined) {
    if (entries || raw) throw invalid(`${what} holds strings, which can be neither raw nor external`);
    if (strings.length !== countOf(dims, what))
      throw invalid(`${what} has ${strings.length} strings, not as many as its shape says`);
    return { name, tensor: { type, dims, data: dataOf(new Uint8Array()), strings } };
  }
  const typed = () => {
    if (type === 'float32' || type === 'complex64') return joinedData(floats);
    if (type === 'float64' || type === 'complex128') return joinedData(doubles);
    return varintData(ints, type, expected, what);
  };
  const data = entries === undefined ? (raw ?? typed()) : files.read(entries, expected, what);
  if (data.byteLength !== expected) {
    throw invalid(`${what} has ${data.byteLength} bytes of data where its type and shape need ${expected}`);
  }
  return { name, tensor: { type, dims, data } };
}

/** Passes over the elements, but for what another file holds of them. Returns the name. */
export function skipTensor(reader: Reader, files: ExternalFiles): string {
  const { name, what, expected, entries } = readHead(reader, () => undefined);
  if (entries !== undefined) files.read(entries, expected ?? 0, what);
  return name;
}

/** Segments were never used; doc strings and metadata of a constant matter to no one. */
function readHead(reader: Reader, onElements: (field: number) => void): Head {
  let name = '';
  let code = 0;
  let external = false;
  const dims: number[] = [];
  const entries = new Map<string, string>();
  while (reader.next()) {
    const { field } = reader;
    if (field === 1) reader.ints((dim) => addDim(dims, dim));
    else if (field === 2) code = reader.count('an element type');
    else if (field === 8) name = reader.string();
    else if (field === 13) addEntry(reader.message(), entries);
    else if (field === 14) external = reader.count('the data location') === EXTERNAL;
    else onElements(field);
  }
  const what = `tensor ${name || '(unnamed)'}`;
  const type = typeOf(code, what);
  if (dims.some((dim) => dim < 0)) throw invalid(`${what} has a negative dimension`);
  return { name, what, type, dims, expected: byteLengthOf(type, dims, what), entries: external ? entries : undefined };
}

function addDim(dims: number[], dim: bigint): void {
  if (dims.length === MAX_RANK) throw invalid(`a tensor has more than ${MAX_RANK} dimensions`);
  dims.push(Number(dim));
}

function addEntry(reader: Reader, entries: Map<string, string>): void {
  let [key, value] = ['', ''];
  while (reader.next()) {
    if (reader.field === 1) key = reader.string();
    else if (reader.field === 2) value = reader.string();
  }
  entries.set(key, value);
}
