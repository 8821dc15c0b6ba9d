/**
 * The weights of a decoder that another tool exported (Optimum, transformers.js, ONNX Runtime GenAI's builder), under the names
 * of its checkpoint. Constants have numbers for names as often as not, so most are known by the nodes that multiply by them:
 * those have kept the path of their module, `/model/layers.0/self_attn/q_proj/MatMul`.
 */
import { type Graph, intOf, lazyData, type Node, type Tensor } from '@shoal/onnx';
import { invalid } from '../invalid.js';
import { Matrix, type StoredMatrix } from '../matrix.js';
import { finiteFloats } from '../numbers.js';
import { BLOCK_LENGTHS, type BlockFormat, blockSizes, blocksPerRow } from '../precision/quantise-blocks.js';
import type { SafetensorsType, StoredTensor } from '../safetensors.js';
import { transposed } from '../transposed.js';

/** Heads of queries, of keys and of values, and the numbers of each. */
export interface Heads {
  readonly queries: number;
  readonly keys: number;
  readonly width: number;
}

type Stored = StoredTensor | StoredMatrix;

const EMBEDDING = 'model.embed_tokens.weight';
export const HEAD = 'lm_head.weight';
const REMEDY = 'import its checkpoint (model.safetensors)';

/** Products whose weights are in a form that no block of MatMulNBits has. */
const OTHER_PRODUCTS = [
  'MatMulInteger',
  'MatMulIntegerToFloat',
  'DynamicQuantizeMatMul',
  'QLinearMatMul',
  'MatMulBnb4',
  'MatMulFpQ4',
];

const PROJECTION = /^model\.layers\.(\d+)\.(?:self_attn|attn|mlp)\.(?:\w+\.)?(q|k|v|o|qkv|gate|up|gate_up|down)_proj\b/;
const NORM = /^model\.layers\.(\d+)\.(\w+_layernorm)\.weight$/;
const HEAD_NORM = /^model\.layers\.(\d+)\.(?:self_attn|attn)\.([qk]_norm)\.(?:layernorm\.)?weight$/;
const LAST_NORM = /^model\.(?:norm|layers\.\d+\.final_norm_layernorm)\.weight$/;
const BIAS = /\.bias$/;
const TABLES = /^(cos|sin)_cache/;

/**
 * By the names of the checkpoint.
 *
 * @throws ShoalError `model_invalid` for weights in a form that cannot be taken, or whose place is not known
 */
export function decoderTensors(graph: Graph, heads: Heads): ReadonlyMap<string, Stored> {
  const constants = constantsOf(graph);
  const found = new Map<string, Stored>();
  const used = new Set<Tensor>();
  const put = (name: string, stored: Stored) => {
    for (const [own, part] of name.includes('.qkv_proj.') ? parted(name, stored, heads) : [[name, stored] as const]) {
      found.set(own, part);
    }
  };
  const take = (value: string | undefined): Tensor | undefined => {
    const tensor = value === undefined ? undefined : constants.get(value);
    if (tensor !== undefined) used.add(tensor);
    return tensor;
  };
  for (const node of graph.nodes) {
    const name = nameOfNode(node);
    if (name === undefined) continue;
    if (OTHER_PRODUCTS.includes(node.op)) {
      throw invalid(
        `${node.name} multiplies by ${node.op}, whose weights are not taken from ONNX: ${REMEDY}, or a file in fp32, fp16 or q4`,
      );
    }
    const stored =
      node.op === 'MatMulNBits' || node.op === 'GatherBlockQuantized' ? blocksOf(node, take) : floatsOf(node, take);
    if (stored !== undefined) put(name, stored);
  }
  for (const [value, tensor] of constants) {
    const name = nameOfVector(value, tensor);
    if (name === undefined) continue;
    used.add(tensor);
    put(name, storedOf(tensor, value));
  }
  const lost = [...graph.initializers].find(
    ([name, tensor]) => !used.has(tensor) && isWeight(tensor) && !TABLES.test(name),
  );
  if (lost !== undefined) throw invalid(`what the weights ${lost[0]} are for is not known: ${REMEDY}`);
  return found;
}

/** Constants, and what only renames or widens one. */
function constantsOf(graph: Graph): ReadonlyMap<string, Tensor> {
  const constants = new Map(graph.initializers);
  for (const { op, inputs, outputs } of graph.nodes) {
    const from = op === 'Identity' || op === 'Cast' ? constants.get(inputs[0] ?? '') : undefined;
    if (from !== undefined && outputs[0] !== undefined) constants.set(outputs[0], from);
  }
  return constants;
}

/** Of what a node multiplies by, looks up or adds. */
function nameOfNode({ op, name, inputs }: Node): string | undefined {
  if ((op === 'Gather' || op === 'GatherBlockQuantized') && inputs[1] === 'input_ids') return EMBEDDING;
  if (!/MatMul|^Gemm$/.test(op)) return undefined;
  const path = name.replace(/^\//, '').replaceAll('/', '.');
  if (/^lm_head\b/.test(path)) return HEAD;
  return projectionOf(path, 'weight');
}

function projectionOf(path: string, kind: 'weight' | 'bias'): string | undefined {
  const [, layer, name = ''] = PROJECTION.exec(path) ?? [];
  if (layer === undefined) return undefined;
  return `model.layers.${layer}.${/gate|up|down/.test(name) ? 'mlp' : 'self_attn'}.${name}_proj.${kind}`;
}

function nameOfVector(value: string, { dims }: Tensor): string | undefined {
  if (dims.length !== 1) return undefined;
  const norm = NORM.exec(value);
  if (norm !== null && norm[2] !== 'final_norm_layernorm') return value;
  if (LAST_NORM.test(value)) return 'model.norm.weight';
  const [, layer, name] = HEAD_NORM.exec(value) ?? [];
  if (layer !== undefined) return `model.layers.${layer}.self_attn.${name}.weight`;
  return BIAS.test(value) ? projectionOf(value, 'bias') : undefined;
}

/** Scalars, shapes and axes are none. */
function isWeight({ type, dims }: Tensor): boolean {
  return dims.reduce((product, dim) => product * dim, 1) > 16 && !/^(int64|int32|bool|string)$/.test(type);
}

const TYPES: Readonly<Record<string, SafetensorsType>> = { float32: 'F32', float16: 'F16', bfloat16: 'BF16' };

function storedOf({ type, dims, data }: Tensor, name: string): StoredTensor {
  const own = Object.hasOwn(TYPES, type) ? TYPES[type] : undefined;
  if (own === undefined) throw invalid(`${name} is of type ${type}, which is not taken from ONNX: ${REMEDY}`);
  return { type: own, shape: dims, data };
}

/** [outputs, inputs] of a product, [count, width] of a table; undefined where it is of no constants. */
function floatsOf(node: Node, take: (value: string | undefined) => Tensor | undefined): StoredTensor | undefined {
  const { op, inputs, name } = node;
  const tensor = take(op === 'Gather' ? inputs[0] : inputs[1]);
  if (tensor === undefined) return undefined;
  const stored = storedOf(tensor, name);
  if (op === 'Gather' || (op === 'Gemm' && intOf(node, 'transB', 0) === 1)) return stored;
  const [rows, columns] = stored.shape;
  if (stored.shape.length !== 2 || rows === undefined || columns === undefined) return stored;
  return {
    ...stored,
    shape: [columns, rows],
    data: lazyData(stored.data.byteLength, () => turned(stored, rows, columns)),
  };
}

function turned({ type, data }: StoredTensor, rows: number, columns: number): ArrayBufferView {
  const bytes = data.bytes();
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const at = [aligned.buffer, aligned.byteOffset, rows * columns] as const;
  return type === 'F32'
    ? transposed(new Uint32Array(...at), rows, columns)
    : transposed(new Uint16Array(...at), rows, columns);
}

function blocksOf(node: Node, take: (value: string | undefined) => Tensor | undefined): StoredMatrix {
  const { op, inputs, name } = node;
  const isTable = op === 'GatherBlockQuantized';
  const data = take(inputs[0 + Number(!isTable)]);
  const scales = take(inputs[2]);
  const zeros = inputs[3] ? take(inputs[3]) : undefined;
  const [bits, length] = [intOf(node, 'bits', 4), intOf(node, 'block_size', 128)];
  const block = BLOCK_LENGTHS.find((known) => known === length);
  const wrong = (what: string) => invalid(`${name} (${op}): ${what} is not taken from ONNX: ${REMEDY}`);
  if (data?.type !== 'uint8' || scales === undefined || (inputs[3] && zeros?.type !== 'uint8') || inputs[4]) {
    throw wrong('weights that are no unsigned bytes, with zero points of such and without g_idx,');
  }
  if ((bits !== 4 && bits !== 8) || block === undefined) throw wrong(`${bits} bits in blocks of ${length}`);
  if (isTable && (intOf(node, 'gather_axis', 0) !== 0 || intOf(node, 'quantize_axis', 1) !== 1))
    throw wrong('its axis');
  const rows = isTable ? (data.dims[0] ?? 0) : intOf(node, 'N', 0);
  const columns = isTable ? ((data.dims[1] ?? 0) * 8) / bits : intOf(node, 'K', 0);
  if (!Number.isSafeInteger(rows * columns) || rows < 1 || columns < 1) throw wrong(`a matrix of ${rows} × ${columns}`);
  const format: BlockFormat = { bits, block, symmetric: zeros === undefined };
  const sizes = blockSizes(rows, columns, format);
  const stored = storedOf(scales, `${name}, scales`);
  const scaleCount = stored.data.byteLength / (stored.type === 'F32' ? 4 : 2);
  if (data.data.byteLength !== sizes.data || scaleCount !== rows * blocksPerRow(columns, format)) {
    throw invalid(`${name}: the constants do not have the sizes of ${rows} × ${columns} weights`);
  }
  if (zeros !== undefined && zeros.data.byteLength !== sizes.zeroPoints) {
    throw invalid(`${name}: the zero points do not have the size of ${rows} × ${columns} weights`);
  }
  const matrix = Matrix.ofBlocks({
    ...{ rows, columns, format, data: () => data.data.bytes() },
    scales: () => finiteFloats(stored, `${name}, scales`),
    ...(zeros && { zeroPoints: () => zeros.data.bytes() }),
  });
  return { shape: [rows, columns], matrix, origin: `ONNX int${bits}, blocks of ${block}` };
}

/** The rows of queries, keys and values, which stand one above the other. */
function parted(name: string, stored: Stored, { queries, keys, width }: Heads): readonly (readonly [string, Stored])[] {
  const counts = { q: queries * width, k: keys * width, v: keys * width };
  const [rows] = stored.shape;
  if (rows !== counts.q + counts.k + counts.v) {
    throw invalid(`${name} has ${rows} rows; config.json asks for ${counts.q} + ${counts.k} + ${counts.v}`);
  }
  const starts = { q: 0, k: counts.q, v: counts.q + counts.k };
  return (['q', 'k', 'v'] as const).map((part) => {
    const own = name.replace('.qkv_proj.', `.${part}_proj.`);
    return [own, someRows(stored, starts[part], counts[part])] as const;
  });
}

function someRows(stored: Stored, start: number, count: number): Stored {
  if ('matrix' in stored) {
    const matrix = stored.matrix.pickRows(count, (row) => start + row);
    return { ...stored, shape: [count, matrix.columns], matrix };
  }
  const { shape, data } = stored;
  const stride = data.byteLength / shape[0]!;
  const bytes = () => data.bytes().subarray(start * stride, (start + count) * stride);
  return { ...stored, shape: [count, ...shape.slice(1)], data: lazyData(count * stride, bytes) };
}
