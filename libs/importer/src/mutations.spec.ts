/** Thousands of mutations of folders that can be imported: each is imported or refused in words. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openStrangeFolder, withHeader } from './testing/strange-folder.js';

const FIXTURES = fileURLToPath(new URL('../../../test/fixtures/checkpoints', import.meta.url));
const { at, attempt, writeSingle, writeShards } = openStrangeFolder();

/** mulberry32: the same mutations in every run. */
function seeded(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
  };
}

const ODD: readonly unknown[] = [
  ...[0, 1, -1, 2, 3, 7, 8, 1.5, 2 ** 20, 2 ** 24, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 60, 1e308, -0],
  ...['', '..', '../../etc/passwd', '/etc/passwd', 'model.safetensors', '__proto__', 'F32', 'F64', 'I8', 'é\0'],
  ...[null, true, false, [], {}, [1, 2], [[]], { a: 1 }, [2 ** 40, 2 ** 40], [0, 2 ** 53]],
  ...['full_attention', 'dynamic', 'yarn', { rope_type: 'yarn', factor: 1e300 }, { rope_type: 'dynamic', factor: 1e9 }],
];

/** Changes one place of a JSON value, anywhere below. */
function mutateJson(json: unknown, pick: (n: number) => number): unknown {
  const odd = () => ODD[pick(ODD.length)];
  if (typeof json !== 'object' || json === null || pick(8) === 0) return odd();
  const keys = Object.keys(json);
  if (keys.length === 0) return odd();
  const copy: Record<string, unknown> | unknown[] = Array.isArray(json) ? [...(json as unknown[])] : { ...json };
  const key = keys[pick(keys.length)] as keyof typeof copy;
  const kind = pick(6);
  if (kind === 0) delete copy[key];
  else if (kind === 1 && !Array.isArray(copy))
    Object.defineProperty(copy, String(odd()), { value: copy[key], enumerable: true });
  else (copy as Record<string, unknown>)[key as string] = mutateJson(copy[key], pick);
  return copy;
}

function mutateBytes(bytes: Buffer, within: number, pick: (n: number) => number): Buffer {
  let changed = Buffer.from(bytes);
  for (let change = 0; change <= pick(4); change++) {
    const place = pick(Math.min(within, changed.length));
    const kind = pick(4);
    if (kind === 0) changed[place] = pick(256);
    else if (kind === 1) changed[place]! ^= 1 << pick(8);
    else if (kind === 2) changed = changed.subarray(0, place + 1);
    else changed = Buffer.concat([changed.subarray(0, place), changed.subarray(pick(changed.length))]);
  }
  return changed;
}

/** How many of `count` were refused; most must be, and some must not, or the mutations are too coarse. */
function refusals(count: number, write: (n: number) => string): number {
  let refused = 0;
  for (let n = 0; n < count; n++) if (attempt(write(n)) !== '') refused++;
  expect(refused).toBeGreaterThan(count / 2);
  expect(refused).toBeLessThan(count);
  return refused;
}

test('5,000 of a safetensors file', () => {
  const original = writeSingle();
  const length = Number(original.readBigUInt64LE());
  const header = original.subarray(8, 8 + length).toString();
  const pick = seeded(1);
  refusals(5000, (n) => {
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

test('2,000 of an index of shards', () => {
  const index = writeShards();
  const pick = seeded(2);
  refusals(2000, (n) => {
    const made =
      n % 4 === 0
        ? mutateBytes(Buffer.from(index), index.length, pick)
        : JSON.stringify(mutateJson(JSON.parse(index), pick));
    writeFileSync(at('model.safetensors.index.json'), made);
    return 'fp32';
  });
}, 240_000);

test.each([
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
])(
  '375 of the config.json of %s',
  (name) => {
    for (const file of ['model.safetensors', 'tokenizer.json']) {
      const from = join(FIXTURES, name, file);
      writeFileSync(at(file), existsSync(from) ? readFileSync(from) : '{}');
    }
    const config = readFileSync(join(FIXTURES, name, 'config.json'), 'utf8');
    const pick = seeded(name.length);
    let refused = 0;
    for (let n = 0; n < 375; n++) {
      let changed: unknown = JSON.parse(config);
      for (let change = 0; change <= pick(2); change++) changed = mutateJson(changed, pick);
      writeFileSync(at('config.json'), JSON.stringify(changed));
      if (attempt('fp32') !== '') refused++;
    }
    expect(refused).toBeGreaterThan(75);
  },
  240_000,
);
