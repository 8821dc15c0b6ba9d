/** The ONNX project's own tests of single operators, where there is a Python that can make them. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor, TensorInfo, TypedArray } from '@shoal/onnxruntime';
import { onTestFinished } from 'vitest';
import { ROOT } from './processes.js';

/** As node-tests.py writes it: little-endian bytes, or strings. */
export interface Value {
  readonly shape: readonly number[];
  readonly base64?: string;
  readonly data?: readonly string[];
}

export interface NodeTest {
  readonly name: string;
  readonly graph: Uint8Array;
  /** Null for what is no tensor: a sequence, an optional value. */
  readonly inputs: Readonly<Record<string, Value | null>>;
  readonly outputs: Readonly<Record<string, Value | null>>;
  readonly rtol: number;
  readonly atol: number;
}

const SCRIPT = join(ROOT, 'test/support/node-tests.py');

/** A Python with the package `onnx` (Debian: python3-onnx); undefined where there is none. */
export function pythonWithOnnx(): string | undefined {
  const has = (python: string) => spawnSync(python, ['-c', 'import onnx.backend.test']).status === 0;
  return ['python3', '/usr/bin/python3'].find(has);
}

export function makeNodeTests(python: string): NodeTest[] {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-node-tests-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  execFileSync(python, ['-W', 'ignore', SCRIPT, folder]);
  return readdirSync(folder).map((name) => ({
    ...(JSON.parse(readFileSync(join(folder, name, 'case.json'), 'utf8')) as Omit<NodeTest, 'name' | 'graph'>),
    name: name.toLowerCase(),
    graph: readFileSync(join(folder, name, 'model.onnx')),
  }));
}

const ARRAYS: Readonly<Record<string, new (memory: ArrayBuffer) => TypedArray>> = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

export function tensorOf({ shape, base64, data }: Value, { type }: Pick<TensorInfo, 'type'>): Tensor {
  if (base64 === undefined) return { type, dims: shape, data: [...(data ?? [])] };
  const bytes = Buffer.from(base64, 'base64');
  const memory = new ArrayBuffer(bytes.length);
  new Uint8Array(memory).set(bytes);
  return { type, dims: shape, data: new ARRAYS[type]!(memory) };
}

/** The same numbers in the other order: another input of the same kind. */
export function reversed({ type, dims, data }: Tensor): Tensor {
  return { type, dims, data: Array.isArray(data) ? [...data].reverse() : data.slice().reverse() };
}
