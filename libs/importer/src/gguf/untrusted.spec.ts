/** GGUF files from strangers are imported or refused in words: no crash, no hang, no memory beyond their size, nothing outside. */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { serialiseModel } from '@shoal/onnx';
import { afterAll, describe, expect, test } from 'vitest';
import { buildModel } from '../architectures/table.js';
import { openSource } from '../import/source.js';
import { precisionOf } from '../precision/dtype.js';
import { pathOf } from '../testing/decoders.js';
import { mutateBytes, seeded } from '../testing/mutate.js';
import { mutationsOf } from '../testing/mutations.js';
import { Metadata } from './metadata.js';
import { openGguf } from './open.js';
import type { GgufValue } from './read.js';
import { pieceMerges } from './sentencepiece.js';
import { readVocabulary } from './tokens.js';

const root = mkdtempSync(join(tmpdir(), 'shoal-untrusted-gguf-'));
const path = join(root, 'model.gguf');
afterAll(() => rmSync(root, { recursive: true }));

const fixture = (name: string) => readFileSync(pathOf(`test/fixtures/gguf/${name}/${name}.gguf`));

/** What a file of a quarter of a megabyte may come to: tables of angles, for long contexts. */
const MAX_BYTES = 160 * 1024 * 1024;

/** '' where the file was imported, else why not. Anything else that is thrown is a fault. */
function attempt(bytes: Uint8Array, dtype = 'kept'): string {
  writeFileSync(path, bytes);
  try {
    const source = openSource(path);
    try {
      const files = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json'];
      expect(readdirSync(source.folder).sort()).toEqual(files);
      const config: unknown = JSON.parse(readFileSync(join(source.folder, 'config.json'), 'utf8'));
      const precision = precisionOf(dtype, 'decoder');
      const model = buildModel({ config, checkpoint: openGguf(path), precision });
      const made = [...model.graph.initializers.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
      if (made > MAX_BYTES) throw new Error(`the model would need ${made} bytes`);
      serialiseModel(model);
      return '';
    } finally {
      source.close();
    }
  } catch (error) {
    if (!(error instanceof ShoalError) || error.code !== 'model_invalid') throw error;
    expect(error.message).toMatch(/\w+:? \w+/);
    expect(error.message.length).toBeLessThan(2000);
    return error.message;
  } finally {
    expect(readdirSync(root)).toEqual(['model.gguf']);
  }
}

describe('what a small file, or one that is mostly a hole, would take minutes or all memory for', () => {
  const u32 = (...values: readonly number[]) => Buffer.from(Uint32Array.from(values).buffer);
  const u64 = (value: number) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
  const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

  test('texts of gigabytes', () => {
    const each = 8 * 1024 * 1024;
    const count = 1000;
    const head = [Buffer.from('GGUF'), u32(3), u64(0), u64(1), text('x'), u32(9, 8), u64(count), u64(each)];
    writeFileSync(path, Buffer.concat(head));
    const file = openSync(path, 'r+');
    const start = fstatSync(file).size;
    for (let n = 1; n < count; n++) writeSync(file, u64(each), 0, 8, start + n * (each + 8) - 8);
    ftruncateSync(file, start + count * (each + 8));
    closeSync(file);
    expect(() => openSource(path)).toThrow(/a header of more than 268435456 bytes/);
  });

  const vocabulary = (tokens: readonly string[]) =>
    readVocabulary(
      new Metadata(
        new Map<string, GgufValue>([
          ['tokenizer.ggml.tokens', tokens],
          ['tokenizer.ggml.scores', tokens.map(() => 0)],
        ]),
      ),
    );

  test('a million tokens', () => {
    expect(() => vocabulary(Array.from({ length: 2 ** 20 }, (_, n) => String(n)))).toThrow(
      /has 1048576 tokens; at most/,
    );
  });

  test('pieces of thousands of characters', () => {
    const long = Array.from({ length: 1000 }, (_, n) => `${n} `.padEnd(4000, 'a'));
    expect(() => pieceMerges(vocabulary(long))).toThrow(/longer than those of any model/);
    expect(pieceMerges(vocabulary(['a', 'b', 'ab', ...long.slice(0, 2)]))).toEqual([['a', 'b']]);
  });
});

interface Field {
  readonly at: number;
  readonly width: 1 | 2 | 4 | 8;
  /** `count`, `length`, `kind`, `value`, `dimension`, `offset`. */
  readonly what: string;
}

const WIDTHS = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8] as const;

/** Where the numbers of a whole file's header stand. */
function fieldsOf(bytes: Buffer): { readonly fields: readonly Field[]; readonly end: number } {
  const fields: Field[] = [];
  let at = 4;
  const number = (width: Field['width'], what: string): number => {
    fields.push({ at, width, what });
    const value = width === 8 ? Number(bytes.readBigUInt64LE(at)) : bytes.readUIntLE(at, width);
    at += width;
    return value;
  };
  const text = () => {
    const length = number(8, 'length');
    at += length;
  };
  const value = (kind: number): void => {
    if (kind === 8) text();
    else if (kind !== 9) number(WIDTHS[kind] as Field['width'], 'value');
    else {
      const inner = number(4, 'kind');
      for (let left = number(8, 'count'); left > 0; left--) value(inner);
    }
  };
  number(4, 'value');
  const [tensors, values] = [number(8, 'count'), number(8, 'count')];
  for (let n = 0; n < values; n++) {
    text();
    value(number(4, 'kind'));
  }
  for (let n = 0; n < tensors; n++) {
    text();
    for (let left = number(4, 'count'); left > 0; left--) number(8, 'dimension');
    number(4, 'kind');
    number(8, 'offset');
  }
  return { fields, end: at };
}

const ODD = [
  ...[0n, 1n, 2n, 3n, 7n, 8n, 9n, 10n, 12n, 31n, 32n, 33n, 64n, 255n, 256n, 65_535n, 65_536n, 1n << 20n, 1n << 24n],
  ...[
    (1n << 31n) - 1n,
    1n << 31n,
    (1n << 32n) - 1n,
    1n << 32n,
    1n << 40n,
    1n << 53n,
    1n << 62n,
    1n << 63n,
    (1n << 64n) - 1n,
  ],
  // 32-bit floats: NaN, infinity, the largest, the smallest, 1, -1.
  ...[0x7fc00000n, 0x7f800000n, 0x7f7fffffn, 1n, 0x3f800000n, 0xbf800000n],
];

function withField(bytes: Buffer, { at, width }: Field, value: bigint): Buffer {
  const changed = Buffer.from(bytes);
  const wide = Buffer.alloc(8);
  wide.writeBigUInt64LE(BigInt.asUintN(64, value));
  wide.copy(changed, at, 0, width);
  return changed;
}

const MODELS = ['llama-q4_0', 'llama-spm-q8_0', 'qwen3-q8_0', 'phi3-q8_0', 'llama-rope-freqs'];

const { count, seed } = mutationsOf(2000);

describe.each(MODELS)(`${count} mutations of %s, from seed ${seed},`, (name) => {
  const whole = fixture(name);
  const { fields, end } = fieldsOf(whole);
  // Vocabularies have thousands of numbers, the rest some hundred: both are to be changed.
  const rare = fields.filter(
    ({ what }, n) => what !== fields[n - 2]?.what || what === 'dimension' || what === 'offset',
  );

  test('are imported or refused', () => {
    const pick = seeded(seed);
    let refused = 0;
    for (let n = 0; n < count; n++) {
      let made: Buffer = whole;
      if (n % 4 === 0) made = mutateBytes(whole, end, pick);
      else if (n % 40 === 1) made = whole.subarray(0, pick(whole.length));
      else {
        const from = n % 4 === 1 ? fields : rare;
        for (let change = 0; change <= pick(2); change++) {
          made = withField(made, from[pick(from.length)]!, ODD[pick(ODD.length)]!);
        }
      }
      if (attempt(made, ['kept', 'fp32', 'int4'][n % 3]) !== '') refused++;
    }
    expect(refused).toBeGreaterThan(count / 4);
    expect(refused).toBeLessThan(count);
  }, 600_000);
});

test('a file that was cut off is refused, wherever', () => {
  const whole = fixture('llama-q4_0');
  for (let kept = 0; kept < whole.length; kept += 997) expect(attempt(whole.subarray(0, kept))).not.toBe('');
});

test('counts and lengths beyond the file are refused before memory is taken for them', () => {
  const whole = fixture('llama-q4_0');
  const { fields } = fieldsOf(whole);
  for (const field of fields.filter(({ what }) => what === 'count' || what === 'length').slice(0, 60)) {
    for (const value of [1n << 31n, 1n << 40n, 1n << 63n]) expect(attempt(withField(whole, field, value))).not.toBe('');
  }
});

test('what is no GGUF file, or of another byte order or version, is refused by that', () => {
  const whole = fixture('llama-q4_0');
  const version = { at: 4, width: 4, what: 'value' } as const;
  expect(attempt(Buffer.alloc(0))).toContain('is no GGUF file');
  expect(attempt(Buffer.from('PK\u0003\u0004 something'))).toContain('is no GGUF file');
  expect(attempt(withField(whole, version, 1n))).toContain('is of version 1');
  expect(attempt(withField(whole, version, 0x03000000n))).toContain('big-endian');
});

test.each(['kept', 'fp32', 'int4'])(
  'scales that are no numbers are refused by the name of their tensor: %s',
  (dtype) => {
    const broken = fixture('llama-q8_0');
    // The file ends with a matrix: a scale of 16 bits before 32 numbers. 0x7c00 is infinity.
    broken.writeUInt16LE(0x7c00, broken.length - 34);
    expect(attempt(broken, dtype)).toMatch(/^\S+\.weight holds NaN or infinite numbers/);
  },
);
