import { expect, test } from 'vitest';
import { loadRunner } from '../runner.js';
import type { SessionPort, SessionTensor } from '../session.js';
import { fakeModel, floats, textRow } from '../testing/fake-model.js';

const MODEL = fakeModel({
  task: 'feature-extraction',
  outputs: [{ name: 'last_hidden_state', type: 'float32', shape: ['batch', 'sequence', 2] }],
  dimensions: 2,
});
const ROW = textRow([1, 2, 3], { pooling: 'none', normalize: false, dimensions: null });

/** Answers pass n with n everywhere, in the memory it is given, once `release` lets it. */
function slowSession() {
  const memory: ArrayBufferLike[] = [];
  const ends: (() => void)[] = [];
  const session: SessionPort = {
    async run(_feeds, options) {
      const tensor = options?.preallocated?.last_hidden_state as SessionTensor & { data: Float32Array };
      const pass = memory.push(tensor.data.buffer);
      await new Promise<void>((resolve) => ends.push(resolve));
      tensor.data.fill(pass);
      return { last_hidden_state: tensor };
    },
    release: async () => undefined,
  };
  return { session, memory, ends };
}

test('passes that overlap write to memory of their own, later ones to the same again, and results are copies', async () => {
  const { session, memory, ends } = slowSession();
  const runner = loadRunner(MODEL, session);
  const overlapping = [runner.run([ROW]), runner.run([ROW])];
  for (const end of ends) end();
  const results = await Promise.all(overlapping);
  const later = runner.run([ROW]);
  ends[2]!();
  results.push(await later);
  expect(results).toEqual(
    [1, 2, 3].map((n) => [{ kind: 'vector', values: new Float32Array(6).fill(n), dims: [3, 2] }]),
  );
  expect(memory[0]).not.toBe(memory[1]);
  expect(memory.slice(0, 2)).toContain(memory[2]);
});

test('a graph that gives other shapes than it declares runs without memory of its own, and no row ends in the next one', async () => {
  const given: boolean[] = [];
  const session = (vectors: number): SessionPort => ({
    async run({ input_ids: ids }, options) {
      given.push(options?.preallocated !== undefined);
      if (options?.preallocated) throw new Error('the shape is another one');
      const dims = [ids!.dims[0]!, vectors, 2];
      return {
        sentence_embedding: floats([ids!.dims[0]!, 2], [1, 2]),
        last_hidden_state: { type: 'float32', dims, data: new Float32Array(dims.reduce((a, b) => a * b)) },
      };
    },
    release: async () => undefined,
  });
  const pooled = {
    ...MODEL,
    outputs: [...MODEL.outputs, { name: 'sentence_embedding', type: 'float32', shape: ['batch', 2] }],
  };
  const own = textRow([1, 2, 3], { pooling: 'graph', normalize: false, dimensions: null });
  const runner = loadRunner(pooled, session(2));
  for (let n = 0; n < 2; n++) expect(await runner.run([own])).toMatchObject([{ kind: 'vector' }]);
  expect(given).toEqual([true, false, false]);
  await expect(loadRunner(MODEL, session(2)).run([ROW])).rejects.toThrow('not one vector for each of 3 tokens');
});
