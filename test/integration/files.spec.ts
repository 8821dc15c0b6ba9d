/** The records of files in a real Redis. */
import { type FileQuotas, filePrefix, openFileStore, pieceKey } from '@shoal/queue';
import { expect, onTestFinished, test } from 'vitest';
import { startOwnRedis } from '../support/own-redis.js';
import { openClient } from '../support/redis-client.js';

const LEASE = 60_000;
const NEW = { purpose: 'batch', filename: 'a.jsonl', reservedBytes: 100 } as const;

async function open(quotas: FileQuotas = { files: 1000, bytes: 1e9 }) {
  const redisUrl = await startOwnRedis();
  const files = await openFileStore({ redisUrl, quotas, onError: () => undefined });
  onTestFinished(() => files.close());
  return { files, redis: openClient({ redisUrl }), redisUrl };
}

type Files = Awaited<ReturnType<typeof open>>['files'];

async function upload(files: Files, tenant = 'acme', bytes = 10, more = {}) {
  const name = await files.begin(tenant, { ...NEW, ...more }, LEASE);
  await files.append(name, LEASE, 0, { key: pieceKey(name.id), bytes });
  return files.finish(name, {});
}

test('a file is there when it is finished, for its tenant alone, with the pieces that it was written in', async () => {
  const { files } = await open();
  const name = await files.begin('acme', { ...NEW, reservedBytes: 5 }, LEASE);
  expect(name.id).toMatch(/^file-[0-9a-hjkmnp-tv-z]{26}$/);
  const pieces = [3, 0, 4].map((bytes) => ({ key: pieceKey(name.id), bytes }));
  for (const [n, piece] of pieces.entries()) await files.append(name, LEASE, n, piece);
  // A reply that was lost; and a writer that has been replaced.
  await files.append(name, LEASE, 2, pieces[2]!);
  await expect(files.append(name, LEASE, 2, { key: pieceKey(name.id), bytes: 9 })).rejects.toMatchObject({
    code: 'file_not_found',
  });
  await expect(files.find(name)).rejects.toMatchObject({ code: 'file_not_found' });
  expect((await files.list('acme', { limit: 10, order: 'asc' })).files).toEqual([]);
  expect(await files.totals()).toEqual({ files: 1, bytes: 7 });

  const before = Date.now();
  const file = await files.finish(name, { expiresAfterMs: 3600_000 });
  expect(file).toMatchObject({ id: name.id, purpose: 'batch', filename: 'a.jsonl', bytes: 7 });
  expect(file.expiresAt).toBeGreaterThan(before + 3500_000);
  expect(await files.finish(name, { expiresAfterMs: 1 })).toEqual(file);
  expect(await files.find(name)).toEqual(file);
  expect(await files.open(name)).toEqual({ ...file, pieces });
  for (const call of ['find', 'open', 'remove'] as const) {
    await expect(files[call]({ ...name, tenant: 'zeta' })).rejects.toMatchObject({ code: 'file_not_found' });
  }
  await expect(files.append(name, LEASE, 3, pieces[0]!)).rejects.toMatchObject({ code: 'file_not_found' });
  await files.abandon(name);
  expect(await files.find(name)).toEqual(file);
});

test('lists are by the time of begin, in pages that go on where a file has gone, and by purpose', async () => {
  const { files } = await open();
  const ids: string[] = [];
  const outputs: string[] = [];
  for (let n = 0; n < 7; n++) {
    const { id, purpose } = await upload(files, 'acme', 1, { purpose: n % 2 === 0 ? 'batch' : 'batch_output' });
    ids.push(id);
    if (purpose === 'batch_output') outputs.push(id);
  }
  await upload(files, 'zeta');
  // Those of one millisecond are in the order of their ids.
  ids.sort();
  const list = (more: object) =>
    files
      .list('acme', { limit: 100, order: 'asc', ...more })
      .then(({ files: found, more: left }) => [found.map(({ id }) => id), left]);
  expect(await list({})).toEqual([ids, false]);
  expect(await list({ order: 'desc' })).toEqual([[...ids].reverse(), false]);
  expect(await list({ limit: 3 })).toEqual([ids.slice(0, 3), true]);
  expect(await list({ limit: 3, after: ids[2] })).toEqual([ids.slice(3, 6), true]);
  expect(await list({ limit: 7 })).toEqual([ids, false]);
  expect(await list({ order: 'desc', limit: 2, after: ids[2] })).toEqual([[ids[1], ids[0]], false]);
  expect(await list({ purpose: 'batch_output' })).toEqual([outputs.sort(), false]);
  await files.remove({ tenant: 'acme', id: ids[2]! });
  expect(await list({ limit: 3, after: ids[2] })).toEqual([ids.slice(3, 6), true]);
  expect(await list({ purpose: 'vision' })).toEqual([[], false]);
});

test('a list of more files than one script looks at is whole', async () => {
  const { files } = await open({ files: 2000, bytes: 1e9 });
  await Promise.all(Array.from({ length: 1100 }, () => upload(files)));
  const { files: all, more } = await files.list('acme', { limit: 10_000, order: 'desc' });
  expect([new Set(all.map(({ id }) => id)).size, more]).toEqual([1100, false]);
  expect((await files.list('acme', { limit: 1099, order: 'desc' })).more).toBe(true);
});

test('a tenant has no more files and bytes than it may, however many come at once; outputs are counted and let in', async () => {
  const { files, redis } = await open({ files: 5, bytes: 1000 });
  const begun = await Promise.allSettled(Array.from({ length: 20 }, () => files.begin('acme', NEW, LEASE)));
  expect(begun.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
  const [refused] = begun.filter((result) => result.status === 'rejected');
  expect(refused?.reason).toMatchObject({
    code: 'limit_reached',
    message: expect.stringContaining('SHOAL_TENANT_MAX_FILES'),
  });
  await files.begin('zeta', { ...NEW, reservedBytes: 1000 }, LEASE);
  await expect(files.begin('zeta', { ...NEW, reservedBytes: 1 }, LEASE)).rejects.toMatchObject({
    message: expect.stringContaining('SHOAL_TENANT_MAX_FILE_BYTES'),
  });
  const output = await files.begin('zeta', { purpose: 'batch_output', filename: 'o.jsonl', reservedBytes: 0 }, LEASE);
  await files.append(output, LEASE, 0, { key: pieceKey(output.id), bytes: 50 });
  expect(await redis.hgetall('{shoal:files}:held:zeta')).toEqual({ files: '2', bytes: '1050' });
  for (const result of begun) if (result.status === 'fulfilled') await files.abandon(result.value);
  expect(await redis.exists('{shoal:files}:held:acme')).toBe(0);
  const { id } = await upload(files, 'acme', 7);
  expect(await redis.hgetall('{shoal:files}:held:acme')).toEqual({ files: '1', bytes: '7' });
  await files.remove({ tenant: 'acme', id });
  await files.remove({ tenant: 'acme', id }).catch(() => undefined);
  expect(await files.totals()).toEqual({ files: 2, bytes: 1050 });
});

test('of uploads with one Idempotency-Key there is one file, also of those that end together', async () => {
  const { files } = await open();
  const send = async (fingerprint: string, tenant = 'acme') => {
    const name = await files.begin(tenant, NEW, LEASE);
    return files.finish(name, { idempotency: { key: 'k', fingerprint } });
  };
  const ids = await Promise.all(Array.from({ length: 5 }, () => send('same')));
  expect(new Set(ids.map(({ id }) => id)).size).toBe(1);
  await expect(send('other')).rejects.toMatchObject({ code: 'idempotency_conflict' });
  expect((await send('other', 'zeta')).id).not.toBe(ids[0]!.id);
  expect((await files.totals()).files).toBe(2);
  await files.remove({ tenant: 'acme', id: ids[0]!.id });
  expect((await send('other')).id).not.toBe(ids[0]!.id);
});

test('what expires, what is deleted and what nobody goes on writing is swept until the store has nothing of it', async () => {
  const { files, redis, redisUrl } = await open();
  const kept = await upload(files);
  const { id: deleted } = await upload(files);
  await files.remove({ tenant: 'acme', id: deleted });
  const expiring = await files.begin('acme', NEW, LEASE);
  await files.finish(expiring, { expiresAfterMs: 1 });
  const left = await files.begin('acme', NEW, 1);
  const written = await files.begin('acme', NEW, 1);
  await files.extend(written, LEASE);
  await expect.poll(() => files.find(expiring).catch(({ code }) => code)).toBe('file_not_found');
  const swept = new Set<string>();
  await expect
    .poll(async () => {
      for (const id of await files.sweep()) swept.add(id);
      return [...swept].sort();
    })
    .toEqual([deleted, expiring.id, left.id].sort());
  // The store was away: they are told again, later, and by one replica at a time.
  expect(await files.sweep()).toEqual([]);
  const other = await openFileStore({ redisUrl, quotas: { files: 1, bytes: 1 }, onError: () => undefined });
  onTestFinished(() => other.close());
  for (const id of swept) await redis.zadd('{shoal:files}:garbage', 0, id);
  expect(await other.sweep()).toEqual([]);
  expect([...(await files.sweep())].sort()).toEqual([...swept].sort());
  for (const id of swept) await files.erased(id);
  expect(await redis.zcard('{shoal:files}:garbage')).toBe(0);
  for (const call of [files.extend(left, LEASE), files.finish(left, {})]) {
    await expect(call).rejects.toMatchObject({ code: 'file_not_found' });
  }
  await files.abandon(written);
  await files.remove({ tenant: 'acme', id: kept.id });
  expect(await files.totals()).toEqual({ files: 0, bytes: 0 });
  const lasting = (await redis.keys('{shoal:files}*')).sort();
  expect(lasting).toEqual(['{shoal:files}:garbage', '{shoal:files}:state', '{shoal:files}:sweeper']);
  expect(filePrefix(kept.id)).toBe(`files/${kept.id}/`);
});

test('replicas with different stores are known', async () => {
  const { files } = await open();
  expect([await files.stores('a'), await files.stores('b'), await files.stores('a')]).toEqual([1, 2, 2]);
});
