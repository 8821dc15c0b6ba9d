/** A tensor as a caller writes it → the wire's form, checked against what the graph takes. */
import type { ElementType, Fault, TensorInput, TensorSpec, WireTensor } from '@shoal/contracts';
import { isFull } from '../faults.js';
import { ELEMENTS, elementCount, type FixedType, type TypedData } from './elements.js';

/** Checks and converts one tensor. Adds to `faults` and returns undefined where it does not fit `spec`. */
export function readTensor(
  input: TensorInput,
  spec: TensorSpec,
  path: string,
  faults: Fault[],
): WireTensor | undefined {
  const before = faults.length;
  const given = typeof input === 'object' && !Array.isArray(input) ? input : { data: input };
  const type = spec.type as ElementType;
  if ('type' in given && given.type !== undefined && given.type !== type) {
    faults.push({ path: `${path}.type`, message: `the graph takes ${type}` });
    return undefined;
  }
  const tensor =
    'base64' in given
      ? readBase64(given.base64, given.shape, type, path, faults)
      : readNested(
          given.data,
          'shape' in given ? given.shape : undefined,
          type,
          'shape' in given ? `${path}.data` : path,
          faults,
        );
  if (tensor === undefined) return undefined;
  checkShape(tensor.dims, spec, path, faults);
  return faults.length === before ? tensor : undefined;
}

function readBase64(
  base64: string,
  dims: readonly number[],
  type: ElementType,
  path: string,
  faults: Fault[],
): WireTensor | undefined {
  if (type === 'string') {
    faults.push({ path: `${path}.base64`, message: 'strings are given as data' });
    return undefined;
  }
  const data = new Uint8Array(Buffer.from(base64, 'base64'));
  const expected = elementCount(dims) * ELEMENTS[type].bytes;
  if (data.length !== expected) {
    faults.push({ path: `${path}.base64`, message: `has ${data.length} bytes; shape and ${type} make ${expected}` });
    return undefined;
  }
  if (type === 'bool' && data.some((byte) => byte > 1)) {
    faults.push({ path: `${path}.base64`, message: 'bytes of bool are 0 or 1' });
    return undefined;
  }
  return { type, dims, data };
}

/** Nested lists of the tensor's shape, or one flat list where `shape` is given. */
function readNested(
  value: unknown,
  shape: readonly number[] | undefined,
  type: ElementType,
  path: string,
  faults: Fault[],
): WireTensor | undefined {
  const nested = nestedShape(value);
  const flat = shape !== undefined && Array.isArray(value) && nested.length === 1 && shape.length !== 1;
  const dims = shape ?? nested;
  const count = elementCount(dims);
  if (flat ? nested[0] !== count : dims.join() !== nested.join()) {
    faults.push({ path, message: `has shape [${nested.join(', ')}], not [${dims.join(', ')}]` });
    return undefined;
  }
  const before = faults.length;
  const walk: Walk = { dims: nested, path, faults };
  // First the lists: memory is taken only for values that are there, whatever the first rows suggest.
  eachLeaf(value, walk, null);
  if (faults.length > before) return undefined;
  if (type === 'string') {
    const data: string[] = [];
    eachLeaf(value, walk, (leaf) => (typeof leaf === 'string' ? data.push(leaf) > 0 : false), 'a string');
    return faults.length === before ? { type, dims, data } : undefined;
  }
  const data = readValues(value, walk, type, count);
  return faults.length === before ? { type, dims, data } : undefined;
}

function readValues(value: unknown, walk: Walk, type: FixedType, count: number): Uint8Array {
  const kind = ELEMENTS[type];
  const memory = new ArrayBuffer(count * kind.bytes);
  const view = kind.view(memory);
  let at = 0;
  const write = (leaf: unknown) => {
    const stored = kind.read(leaf);
    if (stored === undefined) return false;
    (view as Exclude<TypedData, BigInt64Array | BigUint64Array>)[at++] = stored as number;
    return true;
  };
  eachLeaf(value, walk, write, kind.accepts);
  return new Uint8Array(memory);
}

/** The shape that the first element of each level suggests. */
function nestedShape(value: unknown): number[] {
  const dims: number[] = [];
  for (let level = value; Array.isArray(level); level = level[0]) dims.push(level.length);
  return dims;
}

interface Walk {
  readonly dims: readonly number[];
  readonly path: string;
  readonly faults: Fault[];
}

/**
 * Visits values in order; a list of another length, or a value that `visit` refuses, is a fault at its path. Null: lists
 * only.
 */
function eachLeaf(value: unknown, walk: Walk, visit: ((leaf: unknown) => boolean) | null, accepts = ''): void {
  const at: number[] = [];
  const fail = (message: string) => {
    walk.faults.push({ path: `${walk.path}${at.map((index) => `[${index}]`).join('')}`, message });
  };
  const descend = (node: unknown, level: number): void => {
    if (isFull(walk.faults)) return;
    if (level === walk.dims.length) {
      if (visit?.(node) === false) fail(`must be ${accepts}`);
      return;
    }
    const size = walk.dims[level]!;
    if (!Array.isArray(node)) {
      fail(`must be a list of ${size}`);
      return;
    }
    if (node.length !== size) {
      fail(`has ${node.length} elements where its neighbour has ${size}`);
      return;
    }
    if (visit === null && level === walk.dims.length - 1) return;
    for (let i = 0; i < size; i++) {
      at[level] = i;
      at.length = level + 1;
      descend(node[i], level + 1);
    }
    at.length = level;
  };
  descend(value, 0);
}

function checkShape(dims: readonly number[], { shape }: TensorSpec, path: string, faults: Fault[]): void {
  if (shape[0] === '...') return;
  const fits = dims.length === shape.length && shape.every((size, i) => typeof size === 'string' || size === dims[i]);
  if (!fits) faults.push({ path, message: `has shape [${dims.join(', ')}]; the graph takes [${shape.join(', ')}]` });
}
