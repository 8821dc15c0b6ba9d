/** From the model to the wire format of onnx.proto. */
import { ATTRIBUTE_KINDS } from './decode.js';
import { codeOf, isOnnxType } from './element-types.js';
import type { TensorData } from './tensor-data.js';
import type { Attribute, Graph, Model, Node, Tensor, ValueInfo } from './types.js';
import { Writer } from './wire/writer.js';

/** Where a tensor's bytes lie beside the model's file; undefined: within it. */
export type Placement = (data: TensorData) => { readonly location: string; readonly offset: number } | undefined;

export function encodeModel(model: Model, place: Placement): Writer {
  const writer = new Writer();
  writer.int(1, model.irVersion);
  writer.string(2, model.producer);
  writer.raw(model.extra);
  for (const [domain, version] of model.opsets) {
    writer.message(8, (opset) => {
      opset.string(1, domain);
      opset.int(2, version);
    });
  }
  for (const [key, value] of model.metadata) writer.message(14, (entry) => writePair(entry, key, value));
  writer.message(7, (graph) => writeGraph(graph, model.graph, place));
  return writer;
}

function writePair(writer: Writer, key: string, value: string): void {
  writer.string(1, key);
  writer.string(2, value);
}

function writeGraph(writer: Writer, graph: Graph, place: Placement): void {
  for (const node of graph.nodes) writer.message(1, (inner) => writeNode(inner, node, place));
  writer.string(2, graph.name);
  for (const [name, tensor] of graph.initializers)
    writer.message(5, (inner) => writeTensor(inner, name, tensor, place));
  for (const info of graph.inputs) writer.message(11, (inner) => writeValueInfo(inner, info));
  for (const info of graph.outputs) writer.message(12, (inner) => writeValueInfo(inner, info));
  for (const info of graph.valueInfos) writer.message(13, (inner) => writeValueInfo(inner, info));
  writer.raw(graph.extra);
}

function writeNode(writer: Writer, node: Node, place: Placement): void {
  // An input that is left out has an empty name, and must keep its place.
  for (const name of node.inputs) writer.bytes(1, new TextEncoder().encode(name));
  for (const name of node.outputs) writer.bytes(2, new TextEncoder().encode(name));
  writer.string(3, node.name);
  writer.string(4, node.op);
  for (const [name, attribute] of node.attributes) {
    writer.message(5, (inner) => writeAttribute(inner, name, attribute, place));
  }
  writer.string(7, node.domain);
  writer.raw(node.extra);
}

function writeAttribute(writer: Writer, name: string, attribute: Attribute, place: Placement): void {
  writer.string(1, name);
  if (attribute.type === 'other') {
    writer.int(20, attribute.kind);
    writer.raw(attribute.fields);
    return;
  }
  writer.int(20, ATTRIBUTE_KINDS.indexOf(attribute.type));
  const { type, value } = attribute;
  if (type === 'float') writer.float(2, value);
  else if (type === 'int') writer.int(3, value, true);
  else if (type === 'string') writer.bytes(4, value);
  else if (type === 'tensor') writer.message(5, (inner) => writeTensor(inner, '', value, place));
  else if (type === 'graph') writer.message(6, (inner) => writeGraph(inner, value, place));
  else if (type === 'floats') for (const item of value) writer.float(7, item);
  else if (type === 'ints') for (const item of value) writer.int(8, item, true);
  else if (type === 'strings') for (const item of value) writer.bytes(9, item);
  else if (type === 'tensors')
    for (const item of value) writer.message(10, (inner) => writeTensor(inner, '', item, place));
  else for (const item of value) writer.message(11, (inner) => writeGraph(inner, item, place));
}

function writeTensor(writer: Writer, name: string, { type, dims, data, strings }: Tensor, place: Placement): void {
  for (const dim of dims) writer.int(1, dim, true);
  writer.int(2, codeOf(type));
  writer.string(8, name);
  if (strings) {
    for (const string of strings) writer.bytes(6, string);
    return;
  }
  const placed = place(data);
  if (placed === undefined) {
    writer.data(9, data);
    return;
  }
  const entries = { location: placed.location, offset: placed.offset, length: data.byteLength };
  for (const [key, value] of Object.entries(entries)) {
    writer.message(13, (entry) => writePair(entry, key, String(value)));
  }
  writer.int(14, 1);
}

function writeValueInfo(writer: Writer, { name, type, shape, extra }: ValueInfo): void {
  writer.string(1, name);
  if (isOnnxType(type)) {
    writer.message(2, (proto) =>
      proto.message(1, (tensor) => {
        tensor.int(1, codeOf(type));
        if (shape === null) return;
        tensor.message(2, (dims) => {
          for (const dim of shape) {
            dims.message(1, (inner) => (typeof dim === 'number' ? inner.int(1, dim, true) : inner.string(2, dim)));
          }
        });
      }),
    );
  }
  writer.raw(extra);
}
