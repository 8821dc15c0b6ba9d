/** Folders from strangers are imported or refused in words: no crash, no hang, no memory beyond their size, no read outside. */
import { linkSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCheckpoint } from './checkpoint.js';
import { CONFIG, openStrangeFolder, REST, safetensors, withHeader } from './testing/strange-folder.js';

const { root, folder, at, attempt, writeSingle, writeShards } = openStrangeFolder();

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

  test('with more tensors than any model, which would take minutes to describe, is refused', () => {
    writeSingle();
    const empty = JSON.stringify({ dtype: 'U8', shape: [0], data_offsets: [0, 0] });
    const header = Array.from({ length: 100_000 }, (_, n) => `"t${n}":${empty}`).join(',');
    writeFileSync(at('model.safetensors'), withHeader(`{${header}}`, Buffer.alloc(0)));
    expect(attempt('fp32')).toContain('has 100000 tensors; at most 65536 are read');
  });

  test('with a header nested without end is refused', () => {
    writeSingle();
    writeFileSync(at('model.safetensors'), withHeader('{"a":'.repeat(1_000_000), Buffer.alloc(0)));
    expect(attempt('fp32')).toContain('its header is not valid: it is nested more than 64 deep');
  });

  test('with more values in its header than tensors need is refused before it is parsed', () => {
    writeSingle();
    const tensors = Array.from({ length: 600_000 }, (_, n) => `"t${n}":[0,9007199254740991]`).join(',');
    writeFileSync(at('model.safetensors'), withHeader(`{${tensors}}`, Buffer.alloc(0)));
    expect(attempt('fp32')).toContain('its header is not valid: it has more than 1572864 values');
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
