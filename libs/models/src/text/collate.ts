/** From rows of different lengths to one padded batch, as the graph's inputs ask for it. */
import type { TensorSpec, TextItem } from '@shoal/contracts';
import type { SessionTensor } from '../session.js';
import type { TextDetails } from '../types.js';

/**
 * int64 or int32 tensors of shape [rows, longest row] for those of input_ids, attention_mask, token_type_ids,
 * position_ids and pooling_mask that the graph has. Padding goes to the right; where the graph fixes the length, up to that length.
 */
export function collate(
  inputs: readonly TensorSpec[],
  items: readonly TextItem[],
  details: TextDetails,
): Record<string, SessionTensor> {
  const fixed = inputs.find((input) => input.name === 'input_ids')?.shape[1];
  const width =
    typeof fixed === 'number' ? fixed : items.reduce((longest, { ids }) => Math.max(longest, ids.length), 0);
  const feeds: Record<string, SessionTensor> = {};
  for (const { name, type } of inputs) {
    const fill = FILLS[name];
    if (fill === undefined) continue;
    const wide = type === 'int64';
    // An ArrayBuffer of its own: a small typed array's memory may move while a runtime reads it.
    const memory = new ArrayBuffer(items.length * width * (wide ? 8 : 4));
    const data = wide ? new BigInt64Array(memory) : new Int32Array(memory);
    // Ids are below 2^31, so the low half of each little-endian int64 is all there is to write.
    const low = new Int32Array(memory);
    const stride = wide ? 2 : 1;
    for (const [row, item] of items.entries()) fill(low, row * width * stride, stride, width, item, details);
    feeds[name] = { type: wide ? 'int64' : 'int32', dims: [items.length, width], data };
  }
  return feeds;
}

/** Writes one row of `width` values, the first at `at`, `stride` apart; the memory is zero before. */
type Fill = (low: Int32Array, at: number, stride: number, width: number, item: TextItem, details: TextDetails) => void;

const FILLS: Readonly<Record<string, Fill>> = {
  input_ids(low, at, stride, width, { ids }, { padId }) {
    for (let i = 0; i < width; i++) low[at + i * stride] = i < ids.length ? ids[i]! : padId;
  },
  attention_mask(low, at, stride, _width, { ids }) {
    for (let i = 0; i < ids.length; i++) low[at + i * stride] = 1;
  },
  token_type_ids(low, at, stride, _width, { typeIds }) {
    for (let i = 0; i < (typeIds?.length ?? 0); i++) low[at + i * stride] = typeIds![i]!;
  },
  // Shoal's own: the attention mask without the tokens of a prompt.
  pooling_mask(low, at, stride, _width, { ids, promptTokens = 0 }) {
    for (let i = promptTokens; i < ids.length; i++) low[at + i * stride] = 1;
  },
  position_ids(low, at, stride, width, { ids }, { firstPosition }) {
    // Padding repeats the last real position, which is always inside the table.
    for (let i = 0; i < width; i++) low[at + i * stride] = firstPosition + Math.min(i, ids.length - 1);
  },
};
