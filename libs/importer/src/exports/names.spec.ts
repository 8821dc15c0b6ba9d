/** Names of ONNX files, as the tools that write them choose them. */
import { expect, test } from 'vitest';
import { exportsFor, findExports, usable } from './names.js';

const dtypes = (...paths: readonly string[]) =>
  Object.fromEntries(findExports(paths).files.map(({ dtype, path }) => [dtype, path]));

test('transformers.js: a file for each dtype, the plainest name first', () => {
  const names = ['', '_fp16', '_int8', '_uint8', '_quantized', '_q4', '_q4f16', '_bnb4'];
  expect(dtypes(...names.map((suffix) => `onnx/model${suffix}.onnx`))).toEqual({
    fp32: 'onnx/model.onnx',
    fp16: 'onnx/model_fp16.onnx',
    int8: 'onnx/model_int8.onnx',
    int4: 'onnx/model_q4.onnx',
  });
});

test('sentence-transformers and Optimum: levels of optimisation, and processors', () => {
  expect(dtypes('onnx/model_O1.onnx', 'onnx/model_O3.onnx', 'onnx/model_O4.onnx')).toEqual({
    fp32: 'onnx/model_O3.onnx',
    fp16: 'onnx/model_O4.onnx',
  });
  const processors = ['qint8_arm64', 'qint8_avx512_vnni', 'quint8_avx2'].map((name) => `onnx/model_${name}.onnx`);
  expect(dtypes(...processors)).toEqual({ int8: 'onnx/model_qint8_avx512_vnni.onnx' });
});

test('a file in onnx/ comes before one beside it', () => {
  expect(dtypes('model.onnx', 'onnx/model.onnx')).toEqual({ fp32: 'onnx/model.onnx' });
});

test('parts of larger models and names that say nothing are told apart', () => {
  const { files, parts, unknown } = findExports([
    'onnx/decoder_model_merged.onnx',
    'onnx/encoder_model.onnx',
    'onnx/embed_tokens.onnx',
    'mixed.onnx',
    'onnx/model_q2.onnx',
  ]);
  expect(files).toEqual([]);
  expect(parts).toEqual(['onnx/decoder_model_merged.onnx', 'onnx/encoder_model.onnx', 'onnx/embed_tokens.onnx']);
  expect(unknown).toEqual(['onnx/model_q2.onnx', 'mixed.onnx']);
});

test('a file whose name says nothing is a model where it is the only one', () => {
  const usableOf = (...paths: string[]) => usable(findExports(paths)).map(({ path }) => path);
  expect(usableOf('mixed.onnx')).toEqual(['mixed.onnx']);
  expect(exportsFor(['mixed.onnx'], ['fp32'])).toEqual(['mixed.onnx']);
  expect(usableOf('mixed.onnx', 'other.onnx')).toEqual([]);
  expect(usableOf('mixed.onnx', 'encoder_model.onnx')).toEqual([]);
  expect(usableOf('mixed.onnx', 'model.onnx')).toEqual(['model.onnx']);
});

test.each([
  [['fp32'], ['onnx/model.onnx']],
  [['int8'], ['onnx/model_quantized.onnx']],
  [
    ['fp32', 'int8'],
    ['onnx/model.onnx', 'onnx/model_quantized.onnx'],
  ],
  [['kept'], ['onnx/model_q4.onnx']],
  [['int4-b128'], ['onnx/model_q4.onnx']],
  // Widened or narrowed from it, where that can be.
  [['fp16'], ['onnx/model.onnx']],
])('--dtype %j needs %j', (dtypes, needed) => {
  const paths = ['model', 'model_quantized', 'model_q4'].map((name) => `onnx/${name}.onnx`);
  expect(exportsFor(paths, dtypes)).toEqual(needed);
});
