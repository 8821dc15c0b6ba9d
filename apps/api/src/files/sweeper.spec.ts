import { ShoalError } from '@shoal/contracts';
import { filePrefix, pieceKey } from '@shoal/queue';
import { expect, test } from 'vitest';
import { FakeBlobs } from '../testing/fake-blobs.js';
import { FakeFileStore } from '../testing/fake-file-store.js';
import { FileSweeper } from './sweeper.js';

test('what a deleted file and a broken-off one have in the store goes, and nothing else; a store that is away is asked again', async () => {
  const [records, blobs] = [new FakeFileStore(), new FakeBlobs()];
  const told: string[] = [];
  const sweeper = new FileSweeper(records, blobs, ({ message }) => void told.push(message));
  const file = { purpose: 'batch', filename: 'a.jsonl', reservedBytes: 0 } as const;
  const [deleted, broken, kept] = [
    await records.begin('a', file),
    await records.begin('a', file),
    await records.begin('a', file),
  ];
  for (const { id } of [deleted, deleted, broken, kept]) blobs.blobs.set(pieceKey(id), Buffer.from('x'));
  await records.finish(deleted, {});
  await records.remove(deleted);
  await records.abandon(broken);
  blobs.failure = new ShoalError('storage_unavailable', 'away');
  await sweeper.sweep();
  // One that cannot be removed holds up no other.
  expect(told).toEqual(['away', 'away']);
  expect(records.garbage.size).toBe(2);
  blobs.failure = undefined;
  await sweeper.sweep();
  expect(records.garbage.size).toBe(0);
  expect([...blobs.blobs.keys()].every((key) => key.startsWith(filePrefix(kept.id)))).toBe(true);
  expect(blobs.blobs.size).toBe(1);
});
