/** The forward pass of text models, and taking its outputs apart row by row. */
import { ShoalError, type TextItem } from '@shoal/contracts';
import { toFloat32 } from '../numbers/half.js';
import { isFiniteArray } from '../numbers/scores.js';
import type { SessionPort, SessionTensor } from '../session.js';
import { collate } from '../text/collate.js';
import type { Model, Row } from '../types.js';
import { textDetailsOf } from './pipeline.js';

export interface ForwardPass {
  readonly items: readonly TextItem[];
  readonly outputs: Readonly<Record<string, SessionTensor>>;
}

export async function forwardTexts(model: Model, session: SessionPort, rows: readonly Row[]): Promise<ForwardPass> {
  const items = rows.map(({ item }) => textItem(item));
  return { items, outputs: await session.run(collate(model.inputs, items, textDetailsOf(model))) };
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

/** NaN or infinity in one row fails that row alone. */
export function finiteOr<T>(values: Float32Array, make: () => T): T | Error {
  if (isFiniteArray(values)) return make();
  return new ShoalError('inference_failed', 'the model returned NaN or infinity for this input');
}
