/** From the wire format of onnx.proto (field numbers as published at github.com/onnx/onnx) to the model. */
import { decodeTensor, MAX_RANK } from './decode-tensor.js';
import { isOnnxType, typeOf } from './element-types.js';
import type { ExternalFiles } from './external-data.js';
import { invalid } from './invalid.js';
import type { Attribute, Dim, Graph, Model, Node, OtherType, Tensor, ValueInfo } from './types.js';
import { IntList } from './wire/int-list.js';
import type { Reader } from './wire/reader.js';

/** Graphs within graphs (If, Loop, Scan): real models stay below 5. */
export const MAX_DEPTH = 32;

/** Fields that are kept as they are, and may hold tensors whose data is in other files. */
const FUNCTION = 25;
const SPARSE_INITIALIZER = 15;
const SPARSE_ATTRIBUTES = [22, 23];

/** Of an attribute: no node behaves differently for it. */
const DOC_STRING = 13;

/** AttributeProto.AttributeType, in the order of its numbers. */
export const ATTRIBUTE_KINDS = [
  null,
  'float',
  'int',
  'string',
  'tensor',
  'graph',
  'floats',
  'ints',
  'strings',
  'tensors',
  'graphs',
] as const;

/** @throws ShoalError `model_invalid` */
export function decodeModel(reader: Reader, files: ExternalFiles): Model {
  const extra: Uint8Array[] = [];
  const model: Omit<Model, 'graph'> & { graph: Graph | undefined } = {
    irVersion: 0,
    producer: '',
    opsets: new Map(),
    metadata: new Map(),
    graph: undefined,
    extra,
  };
  while (reader.next()) {
    if (reader.field === 1) model.irVersion = reader.count('the IR version');
    else if (reader.field === 2) model.producer = reader.string();
    else if (reader.field === 7) {
      if (model.graph !== undefined) throw invalid('it holds more than one graph');
      model.graph = decodeGraph(reader.message(), files, 0);
    } else if (reader.field === 8) {
      const [domain, version] = decodeOpset(reader.message());
      model.opsets.set(domain, version);
    } else if (reader.field === 14) {
      const [key, value] = decodePair(reader.message());
      model.metadata.set(key, value);
    } else {
      if (reader.field === FUNCTION) checkFunction(reader.message(), files.kept);
      extra.push(reader.raw());
    }
  }
  const { graph } = model;
  if (graph === undefined) throw invalid('it holds no graph');
  return { ...model, graph };
}

export function decodeOpset(reader: Reader): [domain: string, version: number] {
  let [domain, version] = ['', 0];
  while (reader.next()) {
    if (reader.field === 1) domain = reader.string();
    else if (reader.field === 2) version = reader.count('an operator set version');
  }
  // The long name of ONNX's own domain means the same.
  return [domain === 'ai.onnx' ? '' : domain, version];
}

export function decodePair(reader: Reader): [key: string, value: string] {
  let [key, value] = ['', ''];
  while (reader.next()) {
    if (reader.field === 1) key = reader.string();
    else if (reader.field === 2) value = reader.string();
  }
  return [key, value];
}

function decodeGraph(reader: Reader, files: ExternalFiles, depth: number): Graph {
  if (depth > MAX_DEPTH) throw invalid(`graphs are nested more than ${MAX_DEPTH} deep`);
  const extra: Uint8Array[] = [];
  const graph: Graph = {
    name: '',
    nodes: [],
    inputs: [],
    outputs: [],
    valueInfos: [],
    initializers: new Map(),
    extra,
  };
  while (reader.next()) {
    if (reader.field === 1) graph.nodes.push(decodeNode(reader.message(), files, depth));
    else if (reader.field === 2) graph.name = reader.string();
    else if (reader.field === 5) {
      const { name, tensor } = decodeTensor(reader.message(), files);
      if (graph.initializers.has(name)) throw invalid(`two initializers have the name ${name}`);
      graph.initializers.set(name, tensor);
    } else if (reader.field === 11) graph.inputs.push(decodeValueInfo(reader.message()));
    else if (reader.field === 12) graph.outputs.push(decodeValueInfo(reader.message()));
    else if (reader.field === 13) graph.valueInfos.push(decodeValueInfo(reader.message()));
    else {
      if (reader.field === SPARSE_INITIALIZER) checkSparse(reader.message(), files.kept);
      extra.push(reader.raw());
    }
  }
  return graph;
}

function decodeNode(reader: Reader, files: ExternalFiles, depth: number): Node {
  const extra: Uint8Array[] = [];
  const node: Node = { name: '', op: '', domain: '', inputs: [], outputs: [], attributes: new Map(), extra };
  while (reader.next()) {
    if (reader.field === 1) node.inputs.push(reader.string());
    else if (reader.field === 2) node.outputs.push(reader.string());
    else if (reader.field === 3) node.name = reader.string();
    else if (reader.field === 4) node.op = reader.string();
    else if (reader.field === 5) {
      const [name, attribute] = decodeAttribute(reader.message(), files, depth);
      node.attributes.set(name, attribute);
    } else if (reader.field === 7) {
      const domain = reader.string();
      node.domain = domain === 'ai.onnx' ? '' : domain;
    } else extra.push(reader.raw());
  }
  return node;
}

function decodeAttribute(reader: Reader, files: ExternalFiles, depth: number): [name: string, attribute: Attribute] {
  let name = '';
  let kind = 0;
  let [float, int] = [0, 0n];
  let string: Uint8Array = new Uint8Array();
  let tensor: Tensor | undefined;
  let graph: Graph | undefined;
  const floats: number[] = [];
  const ints = new IntList();
  const strings: Uint8Array[] = [];
  const tensors: Tensor[] = [];
  const graphs: Graph[] = [];
  const other: Uint8Array[] = [];
  while (reader.next()) {
    const { field } = reader;
    if (field === 1) name = reader.string();
    else if (field === 2) float = reader.float();
    else if (field === 3) int = reader.int();
    else if (field === 4) string = reader.bytes();
    else if (field === 5) tensor = decodeTensor(reader.message(), files).tensor;
    else if (field === 6) graph = decodeGraph(reader.message(), files, depth + 1);
    else if (field === 7) reader.floats((value) => void floats.push(value));
    else if (field === 8) reader.ints((value) => ints.push(value));
    else if (field === 9) strings.push(reader.bytes());
    else if (field === 10) tensors.push(decodeTensor(reader.message(), files).tensor);
    else if (field === 11) graphs.push(decodeGraph(reader.message(), files, depth + 1));
    else if (field === 20) kind = reader.count(`the type of attribute ${name}`);
    else if (field !== DOC_STRING) {
      if (SPARSE_ATTRIBUTES.includes(field)) checkSparse(reader.message(), files.kept);
      other.push(reader.raw());
    }
  }
  const values = { float, int, string, tensor, graph, floats, ints: ints.values, strings, tensors, graphs };
  const type = ATTRIBUTE_KINDS[kind];
  if (type === undefined) return [name, { type: 'other', kind, fields: other }];
  if (type === null) throw invalid(`attribute ${name} has no type`);
  const value = values[type];
  if (value === undefined) throw invalid(`attribute ${name} has no value of its type`);
  return [name, { type, value } as Attribute];
}

/** A FunctionProto: only what its nodes (7) and default attributes (11) hold. */
function checkFunction(reader: Reader, files: ExternalFiles): void {
  while (reader.next()) {
    if (reader.field === 7) decodeNode(reader.message(), files, 0);
    else if (reader.field === 11) decodeAttribute(reader.message(), files, 0);
  }
}

/** A SparseTensorProto: values (1) and indices (2). */
function checkSparse(reader: Reader, files: ExternalFiles): void {
  while (reader.next()) {
    if (reader.field === 1 || reader.field === 2) decodeTensor(reader.message(), files);
  }
}

export function decodeValueInfo(reader: Reader): ValueInfo {
  const extra: Uint8Array[] = [];
  let name = '';
  let type: ValueInfo['type'] = 'unknown';
  let shape: ValueInfo['shape'] = null;
  while (reader.next()) {
    if (reader.field === 1) name = reader.string();
    else if (reader.field === 2) {
      ({ type, shape } = decodeType(reader.message(), name));
      if (!isOnnxType(type)) extra.push(reader.raw());
    } else extra.push(reader.raw());
  }
  return { name, type, shape, extra };
}

/** Fields of a TypeProto that stand for what is no tensor. */
const OTHER_TYPES: Readonly<Record<number, OtherType>> = { 4: 'sequence', 5: 'map', 8: 'sparse', 9: 'optional' };

function decodeType(proto: Reader, name: string): Pick<ValueInfo, 'type' | 'shape'> {
  let type: ValueInfo['type'] = 'unknown';
  let shape: ValueInfo['shape'] = null;
  while (proto.next()) {
    const other = OTHER_TYPES[proto.field];
    if (other !== undefined) return { type: other, shape: null };
    if (proto.field !== 1) continue;
    const tensor = proto.message();
    while (tensor.next()) {
      if (tensor.field === 1) {
        const code = tensor.count(`the element type of ${name}`);
        if (code !== 0) type = typeOf(code, name);
      } else if (tensor.field === 2) shape = decodeShape(tensor.message(), name);
    }
  }
  return { type, shape: type === 'unknown' ? null : shape };
}

function decodeShape(reader: Reader, name: string): Dim[] {
  const shape: Dim[] = [];
  while (reader.next()) {
    if (reader.field !== 1) continue;
    if (shape.length === MAX_RANK) throw invalid(`${name} has more than ${MAX_RANK} dimensions`);
    const dimension = reader.message();
    let dim: Dim = '';
    while (dimension.next()) {
      if (dimension.field === 1) {
        const size = dimension.int();
        // Some exporters write −1 for what they do not know.
        dim = size < 0n ? '' : Number(size);
        if (!Number.isSafeInteger(size < 0n ? 0 : dim)) throw invalid(`${name} has a dimension of ${size}`);
      } else if (dimension.field === 2) dim = dimension.string();
    }
    shape.push(dim);
  }
  return shape;
}
