/** Refuses wrong tensors before ONNX Runtime sees them, in words that name the tensor, what it should be and what it is. */
import { ShoalError } from '@shoal/contracts';
import { arrayOf, elementCount } from './element-types.js';
import type { RunOptions, Tensor, TensorInfo, Tensors } from './types.js';

/** Every input of the graph, no other, each of the right type and shape. */
export function checkFeeds(inputs: readonly TensorInfo[], feeds: Tensors): void {
  for (const name of Object.keys(feeds)) find(inputs, 'input', name);
  for (const info of inputs) {
    // An input may be called toString, which every object has.
    if (!Object.hasOwn(feeds, info.name)) throw missing(info);
    checkTensor('input', info, feeds[info.name]!);
  }
}

/** The names of the outputs to compute: those asked for and those with memory of their own, or all. */
export function checkOutputs(outputs: readonly TensorInfo[], options: RunOptions): readonly string[] {
  const preallocated = options.preallocated ?? {};
  for (const [name, tensor] of Object.entries(preallocated)) checkTarget(outputs, name, tensor);
  for (const name of options.outputs ?? []) find(outputs, 'output', name);
  if (options.outputs === undefined) return outputs.map(({ name }) => name);
  return [...new Set([...options.outputs, ...Object.keys(preallocated)])];
}

/** A tensor that an output is to be written into. */
export function checkTarget(outputs: readonly TensorInfo[], name: string, tensor: Tensor): void {
  if (tensor.type === 'string') throw wrong(`output "${name}" cannot be written in place: it holds strings`);
  checkTensor('output', find(outputs, 'output', name), tensor);
}

export function checkInput(inputs: readonly TensorInfo[], name: string, tensor: Tensor): void {
  checkTensor('input', find(inputs, 'input', name), tensor);
}

export function missing(info: TensorInfo): ShoalError {
  return wrong(`input "${info.name}" is missing: expected ${describe(info)}`);
}

export function find(infos: readonly TensorInfo[], side: 'input' | 'output', name: string): TensorInfo {
  const info = infos.find((candidate) => candidate.name === name);
  if (info === undefined) {
    throw wrong(`${side} "${name}" is unknown: expected one of ${infos.map((known) => `"${known.name}"`).join(', ')}`);
  }
  return info;
}

function checkTensor(side: 'input' | 'output', info: TensorInfo, { type, dims, data }: Tensor): void {
  const expected = `${side} "${info.name}": expected ${describe(info)}`;
  if (type !== info.type) throw wrong(`${expected}, got ${type}`);
  if (!dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0)) {
    throw wrong(`${expected}, got dims that are no sizes: [${dims.join(', ')}]`);
  }
  // An empty shape may be an unknown rank; ONNX Runtime checks that itself.
  const fits =
    info.shape.length === 0 ||
    (dims.length === info.shape.length && info.shape.every((dim, i) => typeof dim === 'string' || dim === dims[i]));
  if (!fits) throw wrong(`${expected}, got ${type}[${dims.join(', ')}]`);
  const array = type === 'string' ? Array : arrayOf(type);
  if (!(data instanceof array)) throw wrong(`${expected} in a ${array.name}, got a ${data.constructor.name}`);
  if (type === 'string' && !(data as string[]).every((text) => typeof text === 'string' && !text.includes('\0'))) {
    throw wrong(`${expected} without NUL characters, where ONNX Runtime would cut them`);
  }
  if (data.length !== elementCount(dims)) {
    throw wrong(`${expected}, got ${data.length} elements for ${type}[${dims.join(', ')}]`);
  }
}

function describe({ type, shape }: TensorInfo): string {
  return `${type}[${shape.map((dim) => (dim === '' ? '?' : dim)).join(', ')}]`;
}

function wrong(message: string): ShoalError {
  return new ShoalError('inference_failed', message);
}
