import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GeneratorDetails, Model } from '@shoal/models';
import { GraphBuilder, serialiseModel } from '@shoal/onnx';
import { expect, onTestFinished, test } from 'vitest';
import { ModelMemory } from './model-memory.js';

const MIB = 2 ** 20;
const CONTEXT = 1000;
/** Of keys and values of one text: 2 layers of 4 heads of 32 numbers. */
const CACHE = (CONTEXT * 2 * 2 * 4 * 32 * 4) / 0.9;

/** A file of this size: what follows the graph in it is skipped by whoever reads it. */
async function open(limit: number) {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-memory-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const memory = new ModelMemory(limit);
  const models: Model[] = [];
  const add = async (name: string, bytes: number, generates = false) => {
    const g = new GraphBuilder({ name, opset: 17, irVersion: 8 });
    g.output('y', g.op('Identity', [g.input('x', 'float32', [1])]), 'float32', [1]);
    const built = g.build();
    if (generates) {
      const info = {
        graph: 2,
        layers: 2,
        kvHeads: 4,
        headDim: 32,
        vocabulary: 10,
        maxContext: CONTEXT,
        window: CONTEXT,
      };
      built.metadata.set('shoal.decoder', JSON.stringify({ ...info, eosTokenIds: [1] }));
    }
    const graph = serialiseModel(built);
    const path = join(folder, `${name}.onnx`);
    writeFileSync(path, graph);
    writeFileSync(path, padding(bytes - graph.length), { flag: 'a' });
    const generator = generates ? ({ maxContext: CONTEXT } as GeneratorDetails) : null;
    const model = { name, variant: 'fp32', variants: { fp32: path }, inputs: [], generator } as unknown as Model;
    models.push(model);
    await memory.follow(models);
    return model;
  };
  return { memory, add };
}

/** A field of the format that nobody knows, of so many bytes. */
function padding(bytes: number): Uint8Array {
  const padded = new Uint8Array(bytes);
  // Field 100, with a length of four bytes of seven bits.
  const length = bytes - 6;
  padded.set([0xa2, 0x06, ...[0, 7, 14].map((shift) => ((length >> shift) & 0x7f) | 0x80), (length >> 21) & 0x7f]);
  return padded;
}

test('a model takes what loading it was measured to take, within what can have been its own doing', async () => {
  const { memory, add } = await open(400 * MIB);
  const model = await add('a', 10 * MIB);
  expect(memory.bytesOf(model)).toBe(10 * MIB);
  for (const [grown, taken] of [
    [-5, 10],
    [13, 13],
    // Others grew meanwhile.
    [3000, 158],
  ] as const) {
    expect(memory.measure(model, grown * MIB)).toBe(taken * MIB);
    expect(memory.bytesOf(model)).toBe(taken * MIB);
  }
  expect(memory.measure(model, 20 * MIB)).toBe(20 * MIB);
  expect(memory.bytesOf(model)).toBe(158 * MIB);
});

test('one that is not too large by itself has room alone, whatever was measured', async () => {
  const { memory, add } = await open(15 * MIB);
  const model = await add('a', 10 * MIB);
  memory.measure(model, 30 * MIB);
  expect(memory.bytesOf(model)).toBe(15 * MIB);
});

test('a generator takes at least the cache of one text, and gets three quarters of what nobody else is to have', async () => {
  const { memory, add } = await open(100 * MIB);
  const generator = await add('g', 10 * MIB, true);
  expect(memory.leastOf(generator)).toBeCloseTo(10 * MIB + CACHE, -1);
  expect(memory.roomFor(generator, 0, [generator])).toEqual({ bytes: 100 * MIB, cacheShare: 0.75 });
  // Of the 90 MiB that its weights leave, 30 are for the encoder.
  const encoder = await add('e', 30 * MIB);
  expect(memory.roomFor(generator, 0, [generator, encoder]).cacheShare).toBeCloseTo((0.75 * 60) / 90);
  // What is loaded is not there to be had, nor is it what the process has beside models.
  expect(memory.roomFor(generator, 40 * MIB, [generator])).toEqual({ bytes: 60 * MIB, cacheShare: 0.75 });
});

test('generators that are to be loaded share what there is, also those that no name stands for', async () => {
  const { memory, add } = await open(100 * MIB);
  const [first, second] = [await add('g', 10 * MIB, true), await add('h', 10 * MIB, true)];
  const others = 90 * MIB - memory.bytesOf(second);
  expect(memory.roomFor(first, 0, [second]).cacheShare).toBeCloseTo((0.375 * others) / (90 * MIB));
  expect(memory.roomFor(first, 0, [first, second])).toEqual(memory.roomFor(first, 0, [second]));
});
