import { expect, test } from 'vitest';
import { fakeModel } from '../testing/fake-model.js';
import { collate } from './collate.js';

const details = { ...fakeModel({}).text!, padId: 9, firstPosition: 2 };
const items = [
  { kind: 'text' as const, ids: Uint32Array.of(1, 2, 3), typeIds: Uint8Array.of(0, 1, 1) },
  { kind: 'text' as const, ids: Uint32Array.of(4) },
];
const input = (name: string, type = 'int64', shape: (number | string)[] = ['b', 's']) => ({ name, type, shape });

test('rows are padded to the longest, with the mask, segments and positions that the graph asks for', () => {
  const names = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'];
  const feeds = collate(
    names.map((name) => input(name)),
    items,
    details,
  );
  expect(feeds).toEqual({
    input_ids: { type: 'int64', dims: [2, 3], data: BigInt64Array.of(1n, 2n, 3n, 4n, 9n, 9n) },
    attention_mask: { type: 'int64', dims: [2, 3], data: BigInt64Array.of(1n, 1n, 1n, 1n, 0n, 0n) },
    token_type_ids: { type: 'int64', dims: [2, 3], data: BigInt64Array.of(0n, 1n, 1n, 0n, 0n, 0n) },
    position_ids: { type: 'int64', dims: [2, 3], data: BigInt64Array.of(2n, 3n, 4n, 2n, 2n, 2n) },
  });
});

test('a graph of fixed length and int32 inputs gets just that, and nothing it did not ask for', () => {
  const feeds = collate([input('input_ids', 'int32', [1, 5])], items.slice(1), details);
  expect(feeds).toEqual({ input_ids: { type: 'int32', dims: [1, 5], data: Int32Array.of(4, 9, 9, 9, 9) } });
});
