/** Thousands of mutations of GPTQ, AWQ and compressed-tensors folders: each is imported or refused in words, and nothing is written. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { mutateBytes, mutateJson, seeded } from '../testing/mutate.js';
import { mutationsOf } from '../testing/mutations.js';
import { openStrangeFolder, withHeader } from '../testing/strange-folder.js';

const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures/quantised', import.meta.url));
const { root, folder, at, attempt } = openStrangeFolder();

const GPTQ = ['gptq-g32-sym-act', 'gptq-g64-asym-act', 'gptq-v2-g32-asym', 'gptq-int8-g32-sym', 'gptq-channel-sym'];
const OTHERS = ['awq-g32', 'ct-int4-g32-asym', 'ct-int8-channel', 'ct-int8-packed', 'ct-fp8-channel'];
const DTYPES = ['kept', 'int4', 'fp32', 'int8'] as const;

/** What it was made of a folder: the same for the same `n`. */
interface Original {
  readonly config: string;
  readonly header: string;
  readonly bytes: Buffer;
  /** Where the numbers begin. */
  readonly start: number;
}

function original(name: string): Original {
  const bytes = readFileSync(join(FIXTURES, name, 'model.safetensors'));
  const start = 8 + Number(bytes.readBigUInt64LE());
  const config = readFileSync(join(FIXTURES, name, 'config.json'), 'utf8');
  return { config, header: bytes.subarray(8, start).toString(), bytes, start };
}

/** The settings of the quantisation, changed; of four times once anything in config.json. */
function mutateConfig(text: string, pick: (n: number) => number): string {
  const config = JSON.parse(text) as Record<string, unknown>;
  if (pick(4) === 0) return JSON.stringify(mutateJson(config, pick));
  return JSON.stringify({ ...config, quantization_config: mutateJson(config.quantization_config, pick) });
}

/** A tensor's name, type, shape or place, changed. */
function mutateHeader({ header, bytes, start }: Original, pick: (n: number) => number): Buffer {
  return withHeader(JSON.stringify(mutateJson(JSON.parse(header), pick)), bytes.subarray(start));
}

/** Numbers of the tensors: indices, zero points, scales. */
function mutateNumbers({ bytes, start }: Original, pick: (n: number) => number): Buffer {
  const changed = Buffer.from(bytes);
  for (let n = 0; n < 64; n++) changed[start + pick(changed.length - start)] = pick(256);
  return changed;
}

function mutated(own: Original, n: number, pick: (n: number) => number): { config: string; bytes: Buffer } {
  const { config, bytes, start } = own;
  if (n % 4 === 0) return { config: mutateConfig(config, pick), bytes };
  if (n % 4 === 1) return { config, bytes: mutateHeader(own, pick) };
  if (n % 4 === 2) return { config, bytes: mutateBytes(bytes, start, pick) };
  return { config, bytes: mutateNumbers(own, pick) };
}

const { seed } = mutationsOf(10_000);

test.each([
  ['GPTQ', mutationsOf(10_000).count, GPTQ],
  ['AWQ and compressed-tensors', mutationsOf(5000).count, OTHERS],
] as const)(
  `of %s: %d from seed ${seed}`,
  (_, count, names) => {
    const originals = names.map(original);
    const pick = seeded(seed);
    writeFileSync(at('tokenizer.json'), '{}');
    let refused = 0;
    for (let n = 0; n < count; n++) {
      const { config, bytes } = mutated(originals[n % originals.length]!, Math.floor(n / originals.length), pick);
      writeFileSync(at('config.json'), config);
      writeFileSync(at('model.safetensors'), bytes);
      if (attempt(DTYPES[n % DTYPES.length]!) !== '') refused++;
    }
    expect(refused).toBeGreaterThan(count / 3);
    expect(refused).toBeLessThan(count);
    expect(readdirSync(root)).toEqual(['model']);
    expect(readdirSync(folder).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
  },
  600_000,
);
