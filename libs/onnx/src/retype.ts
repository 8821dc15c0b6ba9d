/** What changing the floating-point type of a whole graph needs, whichever way. */
import { freshName, replaceValue } from './edit.js';
import { codeOf, type OnnxType } from './element-types.js';
import { indexGraph } from './query.js';
import type { Graph, Node } from './types.js';

/** Inputs and outputs by which a decoder keeps keys and values: written in place, so of the same type on both sides. */
export function cacheValue(name: string): boolean {
  return /^(past|present)\b|^(past|present)_/.test(name);
}

/** Whoever reads the input `name` gets it as `type`. */
export function castInput(graph: Graph, name: string, type: OnnxType): void {
  const cast = castNode(graph, name, freshName(graph, `${name}_${type}`), type);
  replaceValue(graph, name, cast.outputs[0]!);
  graph.nodes.unshift(cast);
}

/** The value `name`, which nodes make in another type, becomes `type`; whoever reads it goes on reading what was made. */
export function castOutput(graph: Graph, name: string, type: OnnxType): void {
  const maker = indexGraph(graph).producer(name);
  // An input that is an output as well has its type already.
  if (maker === undefined) return;
  const made = freshName(graph, `${name}_made`);
  replaceValue(graph, name, made);
  maker.outputs = maker.outputs.map((output) => (output === name ? made : output));
  graph.nodes.splice(graph.nodes.indexOf(maker) + 1, 0, castNode(graph, made, name, type));
}

/** A new value: `name` as `type`, made right before the node that is to read it. */
export function castValue(graph: Graph, name: string, type: OnnxType, reader: Node): string {
  const cast = castNode(graph, name, freshName(graph, `${name}_${type}`), type);
  graph.nodes.splice(graph.nodes.indexOf(reader), 0, cast);
  return cast.outputs[0]!;
}

function castNode(graph: Graph, from: string, to: string, type: OnnxType): Node {
  return {
    name: freshName(graph, `${to}_cast`),
    op: 'Cast',
    domain: '',
    inputs: [from],
    outputs: [to],
    attributes: new Map([['to', { type: 'int', value: BigInt(codeOf(type)) }]]),
    extra: [],
  };
}

export const uint16sOf = (bytes: Uint8Array) => view(bytes, Uint16Array, 2);
export const float32sOf = (bytes: Uint8Array) => view(bytes, Float32Array, 4);

function view<T>(
  bytes: Uint8Array,
  array: new (buffer: ArrayBufferLike, offset: number, length: number) => T,
  width: number,
): T {
  const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  return new array(aligned.buffer, aligned.byteOffset, aligned.byteLength / width);
}
