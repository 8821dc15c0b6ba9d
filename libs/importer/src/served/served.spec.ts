/** A served graph gives back the checkpoint that it was built from, for every architecture, and is built from that again. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ShoalError } from '@shoal/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Checkpoint, openCheckpoint } from '../checkpoint.js';
import { buildVariant } from '../import/build.js';
import { keptFiles } from '../import/kept-files.js';
import { purposeOf } from '../import/purpose.js';
import { copyFiles } from '../import/source-files.js';
import { toFloat32 } from '../numbers.js';
import { float32 } from '../precision/float32.js';
import { listModules } from '../sentence/modules.js';
import { DECODERS } from '../testing/decoders.js';
import { ENCODERS } from '../testing/encoders.js';
import { buildFrom, graphFrom } from './build-from.js';
import { checkpointOf, openServed } from './open-served.js';
import { floatsOf, namesOf, weightMap } from './weight-map.js';

const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures/checkpoints', import.meta.url));
const OTHERS = [
  ...['embedding-gemma', 'qwen3-embedding', 'qwen3-reranker', 'qwen3-rerank-classify'],
  ...['st-dense-identity', 'st-dense-two', 'st-layer-norm', 'st-modernbert'],
];

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'shoal-served-'));
});
afterAll(() => rmSync(root, { recursive: true }));

/** A version as an import leaves it, without the trials. */
async function importOf(name: string, dtype = 'fp32'): Promise<{ version: string; path: string }> {
  const folder = join(FIXTURES, name);
  const version = mkdtempSync(join(root, 'version-'));
  mkdirSync(join(version, 'onnx'));
  await copyFiles(folder, version, keptFiles(folder));
  const { task } = purposeOf(folder);
  writeFileSync(join(version, 'shoal.json'), JSON.stringify(task === 'text-classification' ? {} : { task }));
  const path = join(version, 'onnx', 'model.onnx');
  buildVariant({ folder, exported: undefined, dtype, path });
  return { version, path };
}

/** The numbers of every tensor of a fixture, those of modules included, under the names that norms have nowadays. */
function numbersOf(name: string): Map<string, Float32Array> {
  const folder = join(FIXTURES, name);
  const parts = listModules(folder).filter(({ kind }) => kind === 'Dense' || kind === 'LayerNorm');
  const opened: (readonly [prefix: string, checkpoint: Checkpoint])[] = [
    ['', openCheckpoint(folder)],
    ...parts.map(({ path }) => [`${path}/`, openCheckpoint(join(folder, path))] as const),
  ];
  return new Map(
    opened.flatMap(([prefix, { stored }]) =>
      [...stored].flatMap(([tensor, data]): [string, Float32Array][] => {
        const values = 'matrix' in data ? data.matrix.read() : toFloat32(data);
        const own = `${prefix}${tensor.replace(/\.gamma$/, '.weight').replace(/\.beta$/, '.bias')}`;
        return values === undefined ? [] : [[own, values]];
      }),
    ),
  );
}

const sameBits = (a: Float32Array, b: Float32Array) =>
  Buffer.compare(
    Buffer.from(a.buffer, a.byteOffset, a.byteLength),
    Buffer.from(b.buffer, b.byteOffset, b.byteLength),
  ) === 0;

test.each([...ENCODERS, ...DECODERS, ...OTHERS])(
  '%s is read back to its tensors, and built from them to the same bytes',
  async (name) => {
    const { version, path } = await importOf(name);
    const { config, checkpoint, weights, graph } = openServed(version, path);
    const numbers = numbersOf(name);
    const constants = [...weights.constants.values()];
    for (const tensor of weights.tensors.values()) {
      if (weights.silent.has(tensor.name)) continue;
      const found = checkpoint.tensor(tensor.name, tensor.shape);
      const original = numbers.get(tensor.name);
      expect(original?.length, tensor.name).toBe(found.length);
      const holders = constants.filter(({ tensors }) => tensors.includes(tensor.name));
      expect(holders, tensor.name).not.toEqual([]);
      if (holders.some(({ offset }) => offset !== 0)) {
        // Of a gain and one there are 24 bits.
        for (const [n, value] of found.entries()) expect(value).toBeCloseTo(original![n]!, 6);
      } else if (isPartial(name, tensor.name)) {
        const used = [...found].flatMap((value, n) => (Object.is(value, -0) ? [] : [value - original![n]!]));
        expect(used.every((difference) => difference === 0)).toBe(true);
      } else if (!isSum(weights.silent, tensor.name)) {
        expect(sameBits(found, original!), tensor.name).toBe(true);
      }
    }
    const again = join(version, 'again.onnx');
    buildFrom({ folder: version, config, checkpoint, precision: float32, path: again });
    expect(Buffer.compare(readFileSync(again), readFileSync(path))).toBe(0);
    const tensorOf = (tensor: string) => checkpoint.tensor(tensor, weights.tensors.get(tensor)!.shape);
    for (const constant of weights.constants.keys()) {
      const served = floatsOf(graph.graph.initializers.get(constant)!.data);
      expect(sameBits(weights.constant(constant, tensorOf), served), constant).toBe(true);
    }
  },
);

/** A judge reads the rows of two tokens, MPNet those of distances that its longest text has. */
function isPartial(name: string, tensor: string): boolean {
  return (name === 'qwen3-reranker' && /lm_head/.test(tensor)) || /relative_attention_bias/.test(tensor);
}

/** RoBERTa's positions have the vector of its one type of token in them. */
function isSum(silent: ReadonlySet<string>, tensor: string): boolean {
  return silent.size > 0 && /position_embeddings/.test(tensor);
}

test('RoBERTa has positions and the vector of their type in one', async () => {
  const { version, path } = await importOf('roberta-tokens');
  const { checkpoint, weights } = openServed(version, path);
  const [silent = ''] = [...weights.silent];
  expect(silent).toMatch(/token_type_embeddings/);
  const numbers = numbersOf('roberta-tokens');
  const name = silent.replace('token_type', 'position');
  const { shape } = weights.tensors.get(name)!;
  const types = numbers.get(silent)!;
  const sums = numbers.get(name)!.map((value, n) => value + types[n % shape[1]!]!);
  expect(sameBits(checkpoint.tensor(name, shape), sums)).toBe(true);
});

test('a map of a checkpoint that is there finds the same places', async () => {
  const { version, path } = await importOf('llama');
  const { config, weights } = openServed(version, path);
  const checkpoint = openCheckpoint(join(FIXTURES, 'llama'));
  const own = weightMap(
    (made) => graphFrom({ folder: version, config, checkpoint: made, precision: float32 }),
    namesOf(checkpoint),
  );
  expect([...own.tensors.keys()]).toEqual([...weights.tensors.keys()]);
  expect([...own.constants]).toEqual([...weights.constants]);
});

/** Their frequencies depend on how long a text is. */
const BY_LENGTH = ['llama-dynamic', 'phi3-longrope'];

test.each(DECODERS.filter((name) => !BY_LENGTH.includes(name)))(
  '%s, as a graph of whole texts, holds every number of its tensors',
  async (name) => {
    const { version, path } = await importOf(name);
    const { config, checkpoint, weights } = openServed(version, path);
    const wholeOf = (made: Checkpoint) =>
      graphFrom({ folder: version, config, checkpoint: made, precision: float32, whole: true });
    const { initializers } = wholeOf(checkpoint).graph;
    const map = weightMap(wholeOf, namesOf(checkpoint));
    const back = checkpointOf(map, (constant) => floatsOf(initializers.get(constant)!.data));
    expect(new Set(map.tensors.keys())).toEqual(new Set(weights.tensors.keys()));
    for (const [tensor, { shape }] of weights.tensors) {
      const [found, own] = [back.tensor(tensor, shape), checkpoint.tensor(tensor, shape)];
      // Of a gain and one there are 24 bits.
      expect(
        found.every((value, n) => Math.abs(value - own[n]!) < 1e-6),
        tensor,
      ).toBe(true);
    }
  },
);

test.each(['wordnet-topic', 'wordnet-embed'])(
  '%s, built by an older version in another order, is read back',
  (name) => {
    const folder = fileURLToPath(new URL(`../../../../models/${name}/1`, import.meta.url));
    const { config, checkpoint, weights } = openServed(folder, join(folder, 'onnx', 'model.onnx'));
    const path = join(root, `${name}.onnx`);
    buildFrom({ folder, config, checkpoint, precision: float32, path });
    const again = openServed(folder, path);
    for (const [tensor, { shape }] of weights.tensors) {
      expect(sameBits(again.checkpoint.tensor(tensor, shape), checkpoint.tensor(tensor, shape)), tensor).toBe(true);
    }
  },
);

describe('a graph is refused', () => {
  test('where its weights are rounded', async () => {
    const { version, path } = await importOf('bert', 'int8');
    expect(() => openServed(version, path)).toThrow(ShoalError);
    expect(() => openServed(version, path)).toThrow(/import the model again, with --dtype fp32/);
  });

  test.each([
    ['bert-classify', { num_attention_heads: 1 }],
    ['bert-classify', { num_hidden_layers: 1 }],
    ['bert-classify', { hidden_act: 'relu' }],
    ['llama', { rope_theta: 500, rope_parameters: null }],
  ])('where it is not that of config.json: %s with %j', async (name, changes) => {
    const { version, path } = await importOf(name);
    const file = join(version, 'config.json');
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...changes }));
    expect(() => openServed(version, path)).toThrow(/cannot be read back to a checkpoint: its (constant|operators)/);
  });
});
