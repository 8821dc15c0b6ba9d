/** Folders from strangers are imported or refused in words: no crash, no hang, no memory beyond their size, no read outside. */
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ShoalError } from '@shoal/contracts';
import { serialiseModel } from '@shoal/onnx';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { architectureOf, buildModel } from './architectures/table.js';
import { openCheckpoint } from './checkpoint.js';
import { inspect } from './import/inspect.js';
import { readJson } from './import/source-files.js';
import { precisionOf } from './precision/dtype.js';

const FIXTURES = fileURLToPath(new URL('../../../test/fixtures/checkpoints', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'shoal-untrusted-'));
const folder = join(root, 'model');
const at = (name: string) => join(folder, name);
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
});
afterAll(() => rmSync(root, { recursive: true }));

/** What a checkpoint of a quarter of a megabyte may come to: tables of angles for a million tokens, at most. */
const MAX_BYTES = 160 * 1024 * 1024;

/** '' where the folder was imported, else why not. Anything else that is thrown is a fault. */
function attempt(dtype: string): string {
  try {
    inspect(folder);
    const config = readJson(folder, 'config.json');
    const kind = architectureOf(config).task === 'text-generation' ? 'decoder' : 'encoder';
    const checkpoint = openCheckpoint(folder);
    const model = buildModel({ config, checkpoint, precision: precisionOf(dtype, kind) });
    const bytes = [...model.graph.initializers.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
    if (bytes > MAX_BYTES) throw new Error(`the model would need ${bytes} bytes`);
    serialiseModel(model);
    return '';
  } catch (error) {
    if (!(error instanceof ShoalError) || error.code !== 'model_invalid') throw error;
    expect(error.message).toMatch(/\w+ \w+/);
    expect(error.message.length).toBeLessThan(2000);
    return error.message;
  }
}

interface Entry {
  dtype: unknown;
  shape: unknown;
  data_offsets: unknown;
}

function safetensors(tensors: Readonly<Record<string, readonly number[]>>): Buffer {
  const header: Record<string, Entry> = {};
  let end = 0;
  for (const [name, shape] of Object.entries(tensors)) {
    const bytes = 2 * shape.reduce((product, dim) => product * dim, 1);
    header[name] = { dtype: 'F16', shape, data_offsets: [end, end + bytes] };
    end += bytes;
  }
  return withHeader(JSON.stringify(header), Buffer.alloc(end, 0x2e));
}

function withHeader(header: string, data: Buffer, length = BigInt(Buffer.byteLength(header))): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt.asUintN(64, length));
  return Buffer.concat([prefix, Buffer.from(header), data]);
}

const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  vocab_size: 32,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 8,
  max_position_embeddings: 16,
  tie_word_embeddings: true,
};

const LAYER = 'model.layers.0';
const ATTENTION = {
  'model.embed_tokens.weight': [32, 16],
  [`${LAYER}.self_attn.q_proj.weight`]: [16, 16],
  [`${LAYER}.self_attn.k_proj.weight`]: [8, 16],
  [`${LAYER}.self_attn.v_proj.weight`]: [8, 16],
  [`${LAYER}.self_attn.o_proj.weight`]: [16, 16],
};
const REST = {
  [`${LAYER}.input_layernorm.weight`]: [16],
  [`${LAYER}.post_attention_layernorm.weight`]: [16],
  [`${LAYER}.mlp.gate_proj.weight`]: [24, 16],
  [`${LAYER}.mlp.up_proj.weight`]: [24, 16],
  [`${LAYER}.mlp.down_proj.weight`]: [16, 24],
  'model.norm.weight': [16],
};

function writeSingle(): Buffer {
  const bytes = safetensors({ ...ATTENTION, ...REST });
  writeFileSync(at('config.json'), JSON.stringify(CONFIG));
  writeFileSync(at('tokenizer.json'), '{}');
  writeFileSync(at('model.safetensors'), bytes);
  return bytes;
}

const SHARDS = { 'model-1.safetensors': ATTENTION, 'model-2.safetensors': REST };

function writeShards(): string {
  writeFileSync(at('config.json'), JSON.stringify(CONFIG));
  writeFileSync(at('tokenizer.json'), '{}');
  const files: Record<string, string> = {};
  for (const [file, tensors] of Object.entries(SHARDS)) {
    writeFileSync(at(file), safetensors(tensors));
    for (const name of Object.keys(tensors)) files[name] = file;
  }
  const index = JSON.stringify({ metadata: { total_size: 1 }, weight_map: files });
  writeFileSync(at('model.safetensors.index.json'), index);
  return index;
}

describe('mutations', () => {
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
    ...[
      'full_attention',
      'dynamic',
      'yarn',
      { rope_type: 'yarn', factor: 1e300 },
      { rope_type: 'dynamic', factor: 1e9 },
    ],
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

  test.each(['llama', 'mistral', 'qwen3', 'bert-classify', 'roberta-rerank', 'mpnet', 'modernbert', 'distilbert'])(
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
});

describe('a checkpoint', () => {
  test('that is whole is imported', () => {
    writeSingle();
    expect(attempt('fp32')).toBe('');
    rmSync(at('model.safetensors'));
    writeShards();
    expect(attempt('fp32')).toBe('');
  });

  test.each([
    ['two tensors over the same bytes', { b: { dtype: 'F16', shape: [1], data_offsets: [0, 2] } }, 'share bytes'],
    ['a type that does not exist', { b: { dtype: 'F128', shape: [1], data_offsets: [2, 18] } }, 'F128'],
    [
      'a shape whose product is no number',
      { b: { dtype: 'F16', shape: [2 ** 50, 2 ** 50], data_offsets: [2, 4] } },
      'bytes',
    ],
    ['offsets that run backwards', { b: { dtype: 'F16', shape: [1], data_offsets: [4, 2] } }, 'bytes where its shape'],
    ['data beyond the file', { b: { dtype: 'F16', shape: [100], data_offsets: [2, 202] } }, 'beyond the end'],
    ['a fraction as an offset', { b: { dtype: 'F16', shape: [1], data_offsets: [2.5, 4.5] } }, 'described wrongly'],
    ['a list as its header', [], 'no JSON object'],
  ])('with %s is refused', (_, more, reason) => {
    const first = { a: { dtype: 'F16', shape: [1], data_offsets: [0, 2] } };
    const header = JSON.stringify(Array.isArray(more) ? more : { ...first, ...more });
    writeSingle();
    writeFileSync(at('model.safetensors'), withHeader(header, Buffer.alloc(16)));
    expect(attempt('fp32')).toContain(reason);
  });

  test('with a header longer than the file is refused before memory is taken for it', () => {
    writeSingle();
    for (const length of [2n ** 63n, 2n ** 40n, 99_000_000n, 17n]) {
      writeFileSync(at('model.safetensors'), withHeader('{}', Buffer.alloc(14), length));
      expect(attempt('fp32')).toContain(`its header claims ${length} bytes`);
    }
  });

  test('with a header nested without end is refused', () => {
    writeSingle();
    writeFileSync(at('model.safetensors'), withHeader('{"a":'.repeat(1_000_000), Buffer.alloc(0)));
    expect(attempt('fp32')).toContain('not valid JSON');
  });

  test('that was cut off is refused, wherever', () => {
    const { length } = writeSingle();
    for (let kept = 0; kept < length; kept += 37) {
      writeFileSync(at('model.safetensors'), writeSingle().subarray(0, kept));
      expect(attempt('fp32')).not.toBe('');
    }
  });

  test('that is cut off while it is in use is refused', () => {
    const { length } = writeSingle();
    const checkpoint = openCheckpoint(folder);
    truncateSync(at('model.safetensors'), length - 200);
    expect(() => checkpoint.vector('model.norm.weight', 16)).toThrow('has become shorter');
  });

  test.each([
    ['NaN', 0x7e00],
    ['infinity', 0xfc00],
  ])('with %s among its weights is refused by name', (_, bits) => {
    const bytes = writeSingle();
    bytes.writeUInt16LE(bits, bytes.length - 4);
    writeFileSync(at('model.safetensors'), bytes);
    for (const dtype of ['fp32', 'int4', 'int8', 'fp16']) {
      expect(attempt(dtype)).toContain('model.norm.weight holds NaN or infinite numbers');
    }
  });

  test.each(['pytorch_model.bin', 'model.pt', 'model.pth', 'pytorch_model.bin.index.json', 'model.ckpt'])(
    'in the pickle %s is not opened',
    (name) => {
      writeFileSync(at(name), 'cos\nsystem\n(S"touch /tmp/x"\ntR.');
      writeFileSync(at('config.json'), JSON.stringify(CONFIG));
      expect(attempt('fp32')).toMatch(/pickle, which can run code when it is read/);
    },
  );
});

describe('files elsewhere', () => {
  const outside = join(root, 'outside.safetensors');
  const secret = safetensors(REST);

  test.each([
    '../outside.safetensors',
    outside,
    './model-2.safetensors',
    'sub/../model-2.safetensors',
    '..\\x.safetensors',
    '',
  ])('an index that names %j is refused', (name) => {
    writeFileSync(outside, secret);
    const index = writeShards();
    writeFileSync(at('model.safetensors.index.json'), index.replaceAll('"model-2.safetensors"', JSON.stringify(name)));
    expect(attempt('fp32')).toContain('no file of this folder');
  });

  test.each([
    ['symbolic', symlinkSync, 'is a symbolic link'],
    ['hard', linkSync, 'has other names (hard links)'],
  ])('%s links are refused: weights, shards, index and config.json', (_, link, reason) => {
    const replace = (name: string) => {
      const bytes = readFileSync(at(name));
      rmSync(at(name));
      const target = join(root, `linked-${name}`);
      writeFileSync(target, bytes);
      link(target, at(name));
      expect(attempt('fp32')).toContain(reason);
      rmSync(at(name));
      rmSync(target);
    };
    writeSingle();
    replace('model.safetensors');
    for (const name of ['model-2.safetensors', 'model.safetensors.index.json', 'config.json']) {
      writeShards();
      replace(name);
    }
  });

  test('a folder in the place of a file is refused', () => {
    writeSingle();
    rmSync(at('model.safetensors'));
    mkdirSync(at('model.safetensors'));
    expect(attempt('fp32')).toContain('not a regular file');
  });
});
