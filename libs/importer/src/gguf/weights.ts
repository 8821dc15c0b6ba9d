/** The tensors of a GGUF file as those of a checkpoint: names, order of rows and gains of norms are Hugging Face's. */
import { lazyData } from '@shoal/onnx';
import { invalid } from '../invalid.js';
import type { KeptBlocks } from '../kept-blocks.js';
import { Matrix, type StoredMatrix } from '../matrix.js';
import { finite } from '../numbers.js';
import type { SafetensorsType, StoredTensor } from '../safetensors.js';
import type { GgufFamily } from './families.js';
import type { GgufTensor } from './read.js';
import { checkpointName } from './tensor-names.js';
import { hasZeroPoints, splitZeroPoints } from './zero-points.js';

/** Forms that checkpoints have too. */
const FLOATS: ReadonlySet<string> = new Set<SafetensorsType>(['F32', 'F16', 'BF16']);

/** Tensors that say what config.json says in words. */
export const ROTARY_FACTORS: readonly string[] = [
  'rope_freqs.weight',
  'rope_factors_long.weight',
  'rope_factors_short.weight',
];

export interface Heads {
  readonly queries: number;
  readonly keys: number;
}

/** @throws ShoalError `model_invalid` for tensors that the family does not have, or of a form that is not supported */
export function checkpointTensors(
  tensors: ReadonlyMap<string, GgufTensor>,
  { names, paired, gainsPlusOne }: GgufFamily,
  heads: Heads,
): Map<string, StoredTensor | StoredMatrix> {
  const all = new Map<string, StoredTensor | StoredMatrix>();
  for (const [name, tensor] of tensors) {
    if (ROTARY_FACTORS.includes(name)) continue;
    const own = checkpointName(name, names);
    if (own === undefined) throw invalid(`the file has a tensor ${name}, which this architecture does not use`);
    if (all.has(own)) throw invalid(`the file has the tensor ${name} under another name too`);
    const of = /\battn_q\b/.test(name) ? heads.queries : /\battn_k\b/.test(name) ? heads.keys : 0;
    const order = paired && of > 0 ? halves(name, tensor.shape[0] ?? 0, of) : undefined;
    const offset = gainsPlusOne && own.endsWith('norm.weight') ? -1 : 0;
    all.set(own, tensor.shape.length === 2 ? matrix(name, tensor, order) : vector(name, tensor, order, offset));
  }
  return all;
}

type Order = (row: number) => number;

/** Where the row stands that a checkpoint has at a place: neighbours that are turned together come half a head apart. */
function halves(name: string, rows: number, heads: number): Order {
  const [width, half] = [rows / heads, rows / heads / 2];
  if (!Number.isInteger(half))
    throw invalid(`${name} has ${rows} rows, which cannot be split into ${heads} heads of pairs`);
  return (row) => {
    const at = row % width;
    return row - at + 2 * (at % half) + Math.floor(at / half);
  };
}

function matrix(
  name: string,
  { type, shape, data }: GgufTensor,
  order: Order | undefined,
): StoredTensor | StoredMatrix {
  const [rows = 0, columns = 0] = shape;
  if (FLOATS.has(type.name) && order === undefined) return { type: type.name as SafetensorsType, shape, data };
  const kept = keptBlocks(name, rows, columns, { type, data });
  const whole = new Matrix(rows, columns, () => numbersOf(name, { type, data }), kept);
  const stored = order === undefined ? whole : whole.pickRows(rows, order);
  // Floats whose rows are moved are no less floats.
  if (FLOATS.has(type.name)) {
    return { type: 'F32', shape, data: lazyData(4 * rows * columns, () => stored.read()) };
  }
  return { shape: [rows, columns], matrix: stored, origin: `GGUF ${type.name}` };
}

function vector(
  name: string,
  tensor: Pick<GgufTensor, 'type' | 'shape' | 'data'>,
  order: Order | undefined,
  offset: number,
): StoredTensor {
  const { shape } = tensor;
  const length = shape.reduce((product, dim) => product * dim, 1);
  const make = () => {
    const stored = numbersOf(name, tensor);
    return stored.map((value, at) => (order === undefined ? value : stored[order(at)]!) + offset);
  };
  return { type: 'F32', shape, data: lazyData(4 * length, make) };
}

/** The numbers of a tensor. @throws ShoalError `model_invalid` where they are none */
export function numbersOf(name: string, { type, data }: Pick<GgufTensor, 'type' | 'data'>): Float32Array {
  return finite(needsDequantise(name, type)(data.bytes()), name);
}

function needsDequantise(name: string, { name: form, dequantise }: GgufTensor['type']) {
  if (dequantise !== undefined) return dequantise;
  throw invalid(
    `the tensor ${name} is of type ${form}, which is not supported: take a file of the model in Q4_K_M, Q8_0 or another of ` +
      'F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL and IQ4_XS, or its checkpoint',
  );
}

/** What MatMulNBits reads as it is: levels with scales, and zero points where there are such. Undefined for other forms. */
function keptBlocks(
  name: string,
  rows: number,
  columns: number,
  { type, data }: Pick<GgufTensor, 'type' | 'data'>,
): KeptBlocks | undefined {
  const shape = { rows, columns };
  if (type.scaled !== undefined) {
    const { bits, part, split } = type.scaled;
    return {
      ...{ ...shape, format: { bits, block: part, symmetric: true } },
      data: () => packed(split(data.bytes()).levels, bits),
      scales: () => finite(split(data.bytes()).scales, name),
    };
  }
  if (type.name !== 'Q4_1' || !hasZeroPoints(data.chunks())) return undefined;
  const split = () => splitZeroPoints(data.bytes(), rows);
  return {
    ...{ ...shape, format: { bits: 4, block: 32, symmetric: false } },
    data: () => split().data,
    scales: () => finite(split().scales, name),
    zeroPoints: () => split().zeroPoints,
  };
}

/** Integers whose zero is the middle of the range; of two in a byte the low half comes first. */
function packed(levels: Int8Array, bits: 4 | 8): Uint8Array {
  const bytes = new Uint8Array((levels.length * bits) / 8);
  for (let n = 0; n < bytes.length; n++) {
    bytes[n] = bits === 8 ? levels[n]! + 128 : (levels[2 * n]! + 8) | ((levels[2 * n + 1]! + 8) << 4);
  }
  return bytes;
}

/** @throws ShoalError `model_invalid` naming the first tensor of a form that cannot be imported */
export function refuseForms(tensors: ReadonlyMap<string, GgufTensor>): void {
  for (const [name, { type }] of tensors) needsDequantise(name, type);
}
