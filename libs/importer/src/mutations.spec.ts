/** Thousands of mutations of folders that can be imported: each is imported or refused in words. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { mutateBytes, mutateJson, seeded } from './testing/mutate.js';
import { mutationsOf } from './testing/mutations.js';
import { openStrangeFolder, withHeader } from './testing/strange-folder.js';

const FIXTURES = fileURLToPath(new URL('../../../test/fixtures/checkpoints', import.meta.url));
const { at, attempt, writeSingle, writeShards } = openStrangeFolder();

const { count: SINGLE, seed } = mutationsOf(5000);
const { count: SHARDS } = mutationsOf(2000);

/** How many of `count` were refused; most must be, and some must not, or the mutations are too coarse. */
function refusals(count: number, write: (n: number) => string): number {
  let refused = 0;
  for (let n = 0; n < count; n++) if (attempt(write(n)) !== '') refused++;
  expect(refused).toBeGreaterThan(count / 2);
  expect(refused).toBeLessThan(count);
  return refused;
}

test(`${SINGLE} of a safetensors file, from seed ${seed}`, () => {
  const original = writeSingle();
  const length = Number(original.readBigUInt64LE());
  const header = original.subarray(8, 8 + length).toString();
  const pick = seeded(seed);
  refusals(SINGLE, (n) => {
    const made =
      n % 2 === 0
        ? mutateBytes(original, 8 + length, pick)
        : withHeader(
            JSON.stringify(mutateJson(JSON.parse(header), pick)),
            original.subarray(8 + length),
            pick(10) === 0 ? BigInt(pick(2 ** 31)) << BigInt(pick(33)) : undefined,
          );
    writeFileSync(at('model.safetensors'), made);
    return ['fp32', 'int4', 'int8'][n % 3]!;
  });
}, 240_000);

test(`${SHARDS} of an index of shards, from seed ${seed}`, () => {
  const index = writeShards();
  const pick = seeded(seed);
  refusals(SHARDS, (n) => {
    const made =
      n % 4 === 0
        ? mutateBytes(Buffer.from(index), index.length, pick)
        : JSON.stringify(mutateJson(JSON.parse(index), pick));
    writeFileSync(at('model.safetensors.index.json'), made);
    return 'fp32';
  });
}, 240_000);

const CONFIGS = [
  ...['llama', 'mistral', 'qwen3', 'bert-classify', 'roberta-rerank', 'mpnet', 'modernbert', 'distilbert'],
  ...[
    'gemma2',
    'gemma3',
    'gemma3-conditional',
    'phi3-longrope',
    'olmo2',
    'granite',
    'smollm3',
    'qwen3-rerank-classify',
  ],
];
const { count: OF_ONE } = mutationsOf(375, CONFIGS.length);
let refusedConfigs = 0;

test.each(CONFIGS)(
  `${OF_ONE} of the config.json of %s, from seed ${seed}`,
  (name) => {
    for (const file of ['model.safetensors', 'tokenizer.json']) {
      const from = join(FIXTURES, name, file);
      writeFileSync(at(file), existsSync(from) ? readFileSync(from) : '{}');
    }
    const config = readFileSync(join(FIXTURES, name, 'config.json'), 'utf8');
    const pick = seeded(seed + CONFIGS.indexOf(name));
    for (let n = 0; n < OF_ONE; n++) {
      let changed: unknown = JSON.parse(config);
      for (let change = 0; change <= pick(2); change++) changed = mutateJson(changed, pick);
      writeFileSync(at('config.json'), JSON.stringify(changed));
      if (attempt('fp32') !== '') refusedConfigs++;
    }
  },
  240_000,
);

test('of these configs enough are refused, and not all', () => {
  const all = OF_ONE * CONFIGS.length;
  expect(refusedConfigs).toBeGreaterThan(0.4 * all);
  expect(refusedConfigs).toBeLessThan(0.9 * all);
});
