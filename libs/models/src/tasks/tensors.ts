/** tensors: named tensors in, named tensors out, for any graph. */
import {
  type Fault,
  formatPath,
  MAX_RESULT_BYTES,
  ShoalError,
  type TensorInput,
  type TensorSpec,
  TensorsInput,
  type TensorsItem,
  TensorsParameters,
  type WireItem,
  type WireOutput,
  type WireTensor,
} from '@shoal/contracts';
import { isFull, throwFaults } from '../faults.js';
import type { SessionPort } from '../session.js';
import { ELEMENTS, type FixedType } from '../tensors/elements.js';
import { joinItems, sliceOutput, wireBytes } from '../tensors/join.js';
import { readTensor } from '../tensors/read-tensor.js';
import { type ShownTensor, showTensor } from '../tensors/show-tensor.js';
import type { Model, Row } from '../types.js';
import { type ApiModel, type Encoded, outputOfKind, type Parameters } from './pipeline.js';
import { checkRequest } from './request.js';

/** What one row costs in the token counts that limits and batches work with. */
const TOKENS_PER_ROW = 64;
const OVERHEAD_BYTES = 64;

interface Resolved {
  /** Names of the outputs to keep; null for all. */
  readonly outputs: readonly string[] | null;
  readonly encoding: 'json' | 'base64';
}

/** Sizes of the graph's named dimensions in one item, and which input set them. */
type Bound = Map<string, { readonly size: number; readonly by: string }>;

async function encode({ model }: ApiModel, input: unknown, parameters: unknown): Promise<Encoded> {
  const request = checkRequest({ element: TensorsInput, parameters: TensorsParameters }, input, parameters);
  const faults: Fault[] = [];
  const outputs = request.parameters.outputs ?? null;
  for (const [i, name] of (outputs ?? []).entries()) {
    if (model.outputs.some((output) => output.name === name)) continue;
    const known = model.outputs.map((output) => output.name).join(', ');
    faults.push({ path: formatPath(['parameters', 'outputs', i]), message: `the graph's outputs are ${known}` });
  }
  const checked: ReturnType<typeof readItem>[] = [];
  for (const { path, value } of request.elements) {
    if (isFull(faults)) break;
    checked.push(readItem(model, value, path, faults));
  }
  throwFaults(faults);
  return {
    parameters: resolve(request.parameters),
    items: checked.map(({ item }) => item),
    tokens: checked.map(({ item }) => TOKENS_PER_ROW * rowCount(model, item)),
    array: request.array,
    resultBytes: checked.reduce(
      (sum, { item, bound }) => sum + outputBytes(model, outputs, bound, rowCount(model, item)),
      0,
    ),
  };
}

function readItem(
  model: Model,
  value: Readonly<Record<string, TensorInput>>,
  path: string,
  faults: Fault[],
): { readonly item: TensorsItem; readonly bound: Bound } {
  const bound: Bound = new Map();
  const tensors: Record<string, WireTensor> = {};
  const names = model.inputs.map(({ name }) => name);
  for (const name of Object.keys(value)) {
    if (!names.includes(name)) {
      faults.push({
        path: `${path}.${formatPath([name])}`,
        message: `unknown input; the graph's are ${names.join(', ')}`,
      });
    }
  }
  for (const spec of model.inputs) {
    const at = `${path}.${spec.name}`;
    if (!Object.hasOwn(value, spec.name)) {
      faults.push({ path: at, message: `required: ${spec.type} of shape [${spec.shape.join(', ')}]` });
      continue;
    }
    const tensor = readTensor(value[spec.name]!, spec, at, faults);
    if (tensor === undefined) continue;
    tensors[spec.name] = tensor;
    bindDimensions(spec, tensor.dims, at, bound, faults);
    if (model.batchable && tensor.dims[0] === 0) faults.push({ path: at, message: 'has no rows' });
  }
  return { item: { kind: 'tensors', tensors }, bound };
}

/** Dimensions of one name are equal in all inputs of an item; of a batchable graph, so are all first dimensions. */
function bindDimensions(spec: TensorSpec, dims: readonly number[], at: string, bound: Bound, faults: Fault[]): void {
  for (const [i, name] of spec.shape.entries()) {
    if (typeof name === 'number' || name === '?' || name === '...') continue;
    const known = bound.get(name);
    if (known === undefined) bound.set(name, { size: dims[i]!, by: spec.name });
    else if (known.size !== dims[i]) {
      const message = `has ${dims[i]} in dimension ${i} (${name}) where ${known.by} has ${known.size}`;
      faults.push({ path: at, message });
    }
  }
}

function rowCount(model: Model, item: TensorsItem): number {
  if (!model.batchable) return 1;
  return Object.values(item.tensors)[0]?.dims[0] ?? 1;
}

/** Bytes of an item's outputs; dimensions that only the graph knows count as 1, strings as 16 bytes. */
function outputBytes(model: Model, kept: readonly string[] | null, bound: Bound, rows: number): number {
  let bytes = 0;
  for (const { name, type, shape } of model.outputs) {
    if (kept !== null && !kept.includes(name)) continue;
    const count = shape.reduce<number>((product, size, i) => {
      const known = typeof size === 'number' ? size : bound.get(size)?.size;
      return product * (known ?? (i === 0 && model.batchable ? rows : 1));
    }, 1);
    bytes += OVERHEAD_BYTES + count * (type === 'string' ? 16 : ELEMENTS[type as FixedType].bytes);
  }
  return bytes;
}

async function run(model: Model, session: SessionPort, rows: readonly Row[]): Promise<(WireOutput | Error)[]> {
  const items = rows.map(({ item }) => tensorsItem(item));
  const outputs = await session.run(joinItems(items));
  const counts = items.map((item) => rowCount(model, item));
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (rows.length > 1 && Object.values(outputs).some(({ dims }) => dims[0] !== total)) {
    // The graph's first output dimension is not the batch after all (a list of detections): one item at a time.
    const single = [];
    for (const row of rows) single.push(...(await run(model, session, [row])));
    return single;
  }
  let from = 0;
  return rows.map(({ parameters }, i) => {
    const range = rows.length === 1 ? [] : [from, from + counts[i]!];
    from += counts[i]!;
    const { outputs: kept } = parameters as Parameters & Resolved;
    const tensors = Object.entries(outputs)
      .filter(([name]) => kept === null || kept.includes(name))
      .map(([name, tensor]) => [name, sliceOutput(tensor, ...range)] as const);
    return withinLimit(Object.fromEntries(tensors));
  });
}

function tensorsItem(item: WireItem): TensorsItem {
  if (item.kind === 'tensors') return item;
  throw new ShoalError('inference_failed', 'this model takes tensors, not a text');
}

function withinLimit(tensors: Readonly<Record<string, WireTensor>>): WireOutput | Error {
  const bytes = Object.values(tensors).reduce((sum, tensor) => sum + wireBytes(tensor), 0);
  if (bytes <= MAX_RESULT_BYTES) return { kind: 'tensors', tensors };
  return new ShoalError('result_too_large', `the outputs take ${bytes} bytes; a result takes ${MAX_RESULT_BYTES}`);
}

function present(
  _model: Model,
  parameters: Parameters,
  outputs: readonly WireOutput[],
): Readonly<Record<string, ShownTensor>> {
  const { encoding } = parameters as Parameters & Resolved;
  const { tensors } = outputOfKind(outputs[0], 'tensors');
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, showTensor(tensor, encoding)]));
}

/** Types and inner dimensions of every input: items of equal keys can be joined. */
export function tensorsGroupKey({ tensors }: TensorsItem): string {
  const parts = Object.entries(tensors).map(([name, { type, dims }]) => `${name}:${type}[${dims.slice(1).join()}]`);
  return parts.sort().join(';');
}

function resolve({ outputs, encoding }: TensorsParameters) {
  const resolved: Resolved = { outputs: outputs ?? null, encoding };
  return { ...resolved };
}

const defaults = (): Parameters => resolve(TensorsParameters.parse({}));

export const tensors = { encode, run, defaults, present };
