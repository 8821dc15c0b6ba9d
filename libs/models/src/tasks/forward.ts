/** The forward pass of text models, and taking its outputs apart row by row. */
import { ShoalError, type TensorSpec, type TextItem } from '@shoal/contracts';
import { toFloat32 } from '../numbers/half.js';
import { isFiniteArray } from '../numbers/scores.js';
import type { SessionPort, SessionTensor } from '../session.js';
import { withScratch } from '../tensors/scratch.js';
import { collate } from '../text/collate.js';
import type { Model, Row } from '../types.js';
import { textDetailsOf } from './pipeline.js';

export interface ForwardPass {
  readonly items: readonly TextItem[];
  /** Tokens of each row, padding included. */
  readonly width: number;
  readonly outputs: Readonly<Record<string, SessionTensor>>;
}

/** Sessions of graphs that give other shapes than they declare, so that memory of the declared ones does not fit. */
const misdeclared = new WeakSet<SessionPort>();

/** `read` gets the outputs in memory that the next pass overwrites: what it returns is its own. */
export async function forwardTexts<T>(
  model: Model,
  session: SessionPort,
  rows: readonly Row[],
  read: (pass: ForwardPass) => T,
): Promise<T> {
  const items = rows.map(({ item }) => textItem(item));
  const feeds = collate(model.inputs, items, textDetailsOf(model));
  const shapes = tokenShapes(model, feeds);
  const byteLength = shapes.reduce((sum, { dims }) => sum + bytesOf(dims), 0);
  const width = feeds.input_ids?.dims[1] ?? 0;
  const plain = async () => read({ items, width, outputs: await session.run(feeds) });
  if (byteLength === 0 || misdeclared.has(session)) return await plain();
  return withScratch(byteLength, async (memory) => {
    const preallocated: Record<string, SessionTensor> = {};
    let start = 0;
    for (const { name, dims } of shapes) {
      preallocated[name] = { type: 'float32', dims, data: new Float32Array(memory, start, bytesOf(dims) / 4) };
      start += bytesOf(dims);
    }
    const outputs = await session.run(feeds, { preallocated }).catch((error: unknown) => {
      if (error instanceof ShoalError && error.retryable) throw error;
      return null;
    });
    if (outputs !== null) return read({ items, width, outputs });
    // What is wrong with the pass itself is told by this one.
    const result = await plain();
    misdeclared.add(session);
    return result;
  });
}

/** The outputs that have a vector per token, and so are large: those that share the names of input_ids' dimensions. */
function tokenShapes(model: Model, feeds: Readonly<Record<string, SessionTensor>>) {
  const [rows, width] = feeds.input_ids?.dims ?? [];
  const names = model.inputs.find(({ name }) => name === 'input_ids')?.shape ?? [];
  const isShared = (dim: unknown, i: number) =>
    typeof dim === 'string' && dim !== '?' && dim !== '' && dim === names[i];
  const perToken = ({ type, shape }: TensorSpec) =>
    type === 'float32' && shape.length === 3 && isShared(shape[0], 0) && isShared(shape[1], 1) && shape[0] !== shape[1];
  if (rows === undefined || width === undefined) return [];
  return model.outputs.flatMap((output) => {
    const size = output.shape[2];
    return perToken(output) && typeof size === 'number' ? [{ name: output.name, dims: [rows, width, size] }] : [];
  });
}

function bytesOf(dims: readonly number[]): number {
  return 4 * dims.reduce((product, dim) => product * dim, 1);
}

function textItem(item: Row['item']): TextItem {
  if (item.kind === 'text') return item;
  throw new ShoalError('inference_failed', 'a text model was given tensors');
}

export interface FloatOutput {
  readonly values: Float32Array;
  readonly dims: readonly number[];
  /** Values per row. */
  readonly stride: number;
}

/** An output as float32 with `rows` rows. Throws where the graph gave something else. */
export function floatOutput(tensor: SessionTensor | undefined, name: string, rows: number): FloatOutput {
  if (tensor === undefined) throw new ShoalError('inference_failed', `the graph gave no output ${name}`);
  if (tensor.dims[0] !== rows) {
    throw new ShoalError('inference_failed', `output ${name} has shape [${tensor.dims.join(', ')}] for ${rows} rows`);
  }
  const values = toFloat32(tensor);
  return { values, dims: tensor.dims, stride: values.length / rows };
}

/** The same of an output with a vector for each of a row's `width` tokens: with fewer, a row would end in the next one. */
export function tokenOutput(tensor: SessionTensor | undefined, name: string, rows: number, width: number): FloatOutput {
  const output = floatOutput(tensor, name, rows);
  if (output.dims.length === 3 && output.dims[1]! >= width) return output;
  const shape = output.dims.join(', ');
  throw new ShoalError(
    'inference_failed',
    `output ${name} has shape [${shape}], not one vector for each of ${width} tokens`,
  );
}

/** NaN or infinity in one row fails that row alone. */
export function finiteOr<T>(values: Float32Array, make: () => T): T | Error {
  if (isFiniteArray(values)) return make();
  return new ShoalError('inference_failed', 'the model returned NaN or infinity for this input');
}
