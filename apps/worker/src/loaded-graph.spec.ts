/** An engine gets no item of a graph that is not the one that was loaded. */
import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { VariantQuality } from '@shoal/contracts';
import { identityOf } from '@shoal/models';
import { type ClaimedItem, Dropped, type Finished, type Outcome } from '@shoal/queue';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LoadedGraph, onlyOwn } from './loaded-graph.js';

const GRAPH = fileURLToPath(new URL('../../../models/wordnet-topic/1/onnx/model.onnx', import.meta.url));
const OTHER = fileURLToPath(new URL('../../../models/wordnet-embed/1/onnx/model.onnx', import.meta.url));

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-loaded-'));
  path = join(folder, 'model.onnx');
  cpSync(GRAPH, path);
});
afterEach(() => rmSync(folder, { recursive: true }));

const load = (quality: VariantQuality | null = null, variants: Readonly<Record<string, string>> = { fp32: OTHER }) =>
  LoadedGraph.of({ variants: { ...variants, int8: path }, variant: 'int8', quality });

function replace(): void {
  cpSync(OTHER, join(folder, 'new.onnx'));
  renameSync(join(folder, 'new.onnx'), path);
}

test('what was measured of the very same files tells its hash; else they are read before anything is loaded', async () => {
  const { sha256, stamp } = await identityOf(path);
  const told = 'a'.repeat(64);
  expect((await load({ graph: { sha256: told, stamp } } as VariantQuality)).sha256).toBe(told);
  expect((await load({ graph: { sha256: told, stamp: 'of another folder' } } as VariantQuality)).sha256).toBe(sha256);
  // It may be measured while it is loaded, which is no reason to load it again; one without another beside it never is.
  expect((await load()).sha256).toBe(sha256);
  expect((await load(null, {})).sha256).toBeUndefined();
});

test('the same bytes with another time and inode are the same graph; others that came while it was loaded end the load', async () => {
  const { sha256 } = await identityOf(path);
  const graph = await load();
  await graph.confirm();
  cpSync(GRAPH, join(folder, 'same.onnx'));
  renameSync(join(folder, 'same.onnx'), path);
  await graph.confirm();
  expect(graph.sha256).toBe(sha256);
  replace();
  await expect(graph.confirm()).rejects.toThrow('model.onnx was replaced while it was loaded');
});

test('files that cannot be read end the load, and the next one finds them', async () => {
  const graph = await load();
  renameSync(path, join(folder, 'away.onnx'));
  await expect(load()).rejects.toThrow('model.onnx');
  await expect(graph.confirm()).rejects.toThrow('model.onnx');
  renameSync(join(folder, 'away.onnx'), path);
  await graph.confirm();
  expect((await load()).sha256).toBe(graph.sha256);
});

test('items of the graph, and those of any, are taken at once; others come back twice and are refused then', async () => {
  const { sha256 } = await identityOf(path);
  const graph = await load();
  const taken: ClaimedItem[] = [];
  const published: Finished[] = [];
  const engine = {
    room: () => ({ items: 3, tokens: 4 }),
    isPreceded: () => true,
    take: async (item: ClaimedItem): Promise<Outcome> => {
      taken.push(item);
      return { kind: 'done' };
    },
  };
  const publisher = {
    begin: async (items: readonly ClaimedItem[]) => items.map(() => 1 as const),
    publish: async (finished: readonly Finished[]) => {
      published.push(...finished);
      return finished.map(() => 1 as const);
    },
  };
  const own = onlyOwn(engine, { graph, publisher, random: () => 0 });
  expect([own.room(), own.isPreceded({ tag: 1, tenant: 't', rank: 1 })]).toEqual([{ items: 3, tokens: 4 }, true]);
  const items = [item(), item({ graph: sha256 }), item({ graph: sha256 })];
  void own.take(items[0]!);
  expect(taken).toHaveLength(1);
  await own.take(items[1]!);
  void own.take(items[2]!);
  expect(taken).toEqual(items);
  for (const [attempts, afterMs] of [1000, 5000].entries()) {
    expect(await own.take(item({ graph: 'b', attempts }))).toEqual({ kind: 'retry', afterMs });
    expect(published.pop()!.result).toBeUndefined();
  }
  expect(await own.take(item({ graph: 'b', attempts: 2 }))).toEqual({ kind: 'done' });
  expect(published[0]!.result).toMatchObject({
    error: { code: 'model_changed', retryable: true },
    receipt: { attempts: 3 },
  });
  expect(taken).toHaveLength(3);
  const back = [own.take(item({ graph: 'b', length: 2 })), own.take(item({ graph: 'c' }))];
  expect(own.room()).toEqual({ items: 1, tokens: 1 });
  await Promise.all(back);
  expect(own.room()).toEqual({ items: 3, tokens: 4 });
});

function item(changes: Partial<ClaimedItem> = {}): ClaimedItem {
  return {
    ...{ jobId: 'm.1.int8.0.1', tenant: 'default', rank: 2, ulid: '1', slice: 0, n: 0 },
    ...{
      lock: { id: 'c', token: 't', tag: 0 },
      dropped: new Dropped(),
      item: { kind: 'text', ids: Uint32Array.of(1) },
    },
    ...{ length: 1, task: 'text-classification', parameters: {}, strikes: 0, attempts: 0, written: 0, queuedMs: 0 },
    ...changes,
  };
}
