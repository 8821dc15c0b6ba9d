/**
 * What an ONNX file says about itself, read without its weights. Field numbers are those of ONNX's published
 * onnx.proto3 (IR version 14).
 */
import { ShoalError } from '@shoal/contracts';
import { elementTypeName } from './element-types.js';
import { externalLocations } from './external-data.js';
import { FileWindow } from './file-window.js';
import { type Field, fields, type Span, WireError } from './wire-format.js';

const MAX_NAME_BYTES = 4096;
const MAX_VALUES = 10_000;
const MAX_DIMENSIONS = 64;

/** One input or output of a graph. */
export interface OnnxValue {
  readonly name: string;
  /** `float32`, `int64`, ...; `sequence`, `map`, `optional` or `sparse` for what is not a tensor. */
  readonly type: string;
  /** A string is a symbolic dimension (`?` where it has no name); null where the file does not give the rank. */
  readonly shape: readonly (number | string)[] | null;
}

export interface OnnxSignature {
  readonly irVersion: number;
  readonly producer: string;
  /** Operator-set domain → version; `''` is ONNX's own domain. */
  readonly opsets: Readonly<Record<string, number>>;
  /** What a caller has to give: initializers, which old files list as inputs too, are left out. */
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** Paths of external data files as the file gives them: unchecked, relative to its folder. */
  readonly externalFiles: readonly string[];
}

interface Graph {
  readonly inputs: OnnxValue[];
  readonly outputs: OnnxValue[];
  readonly initializers: Set<string>;
}

/**
 * Reads the signature of the ONNX file at `path` by positioned reads that skip all weights. Throws `model_invalid`,
 * naming the file and what is wrong, for anything that is not a whole ONNX model.
 */
export function readSignature(path: string): OnnxSignature {
  let file: FileWindow | undefined;
  try {
    file = new FileWindow(path);
    return readModel(file);
  } catch (cause) {
    const reason = cause instanceof WireError ? cause.message : 'the file cannot be read';
    throw new ShoalError('model_invalid', `${path} is not a usable ONNX file: ${reason}`, { cause });
  } finally {
    file?.close();
  }
}

function readModel(file: FileWindow): OnnxSignature {
  const graph: Graph = { inputs: [], outputs: [], initializers: new Set() };
  const opsets: Record<string, number> = {};
  const externalFiles = new Set<string>();
  let producer = '';
  let irVersion = 0;
  let graphs = 0;
  for (const field of fields(file, { start: 0, end: file.size })) {
    if (field.number === 1) irVersion = Number(field.varint);
    else if (field.number === 2) producer = text(file, field);
    else if (field.number === 7) {
      graphs++;
      readGraph(file, message(field), graph);
      externalLocations(file, message(field), 'graph', externalFiles);
    } else if (field.number === 8) readOpset(file, message(field), opsets);
    else if (field.number === 25) externalLocations(file, message(field), 'function', externalFiles);
  }
  if (graphs !== 1) throw new WireError(graphs === 0 ? 'it holds no graph' : 'it holds more than one graph');
  if (Object.keys(opsets).length === 0) throw new WireError('it imports no operator set');
  if (graph.outputs.length === 0) throw new WireError('its graph has no outputs');
  const inputs = graph.inputs.filter((input) => !graph.initializers.has(input.name));
  return { irVersion, producer, opsets, inputs, outputs: graph.outputs, externalFiles: [...externalFiles] };
}

function readGraph(file: FileWindow, span: Span, graph: Graph): void {
  for (const field of fields(file, span)) {
    if (field.number === 5) graph.initializers.add(initializerName(file, message(field)));
    else if (field.number === 11) pushValue(graph.inputs, readValue(file, message(field)));
    else if (field.number === 12) pushValue(graph.outputs, readValue(file, message(field)));
    else if (field.number === 15) addSparseName(file, message(field), graph.initializers);
  }
}

function pushValue(values: OnnxValue[], value: OnnxValue): void {
  if (values.length === MAX_VALUES) throw new WireError(`its graph has more than ${MAX_VALUES} inputs or outputs`);
  values.push(value);
}

function readOpset(file: FileWindow, span: Span, opsets: Record<string, number>): void {
  let domain = '';
  let version = 0;
  for (const field of fields(file, span)) {
    if (field.number === 1) domain = text(file, field);
    else if (field.number === 2) version = Number(field.varint);
  }
  opsets[domain] = version;
}

function initializerName(file: FileWindow, tensor: Span): string {
  let name = '';
  for (const field of fields(file, tensor)) if (field.number === 8) name = text(file, field);
  return name;
}

function addSparseName(file: FileWindow, span: Span, names: Set<string>): void {
  for (const field of fields(file, span)) if (field.number === 1) names.add(initializerName(file, message(field)));
}

function readValue(file: FileWindow, span: Span): OnnxValue {
  let name = '';
  let type: Pick<OnnxValue, 'type' | 'shape'> = { type: 'undefined', shape: null };
  for (const field of fields(file, span)) {
    if (field.number === 1) name = text(file, field);
    else if (field.number === 2) type = readType(file, message(field));
  }
  if (name === '') throw new WireError('an input or output of its graph has no name');
  return { name, ...type };
}

const OTHER_TYPES: Readonly<Record<number, string>> = { 4: 'sequence', 5: 'map', 8: 'sparse', 9: 'optional' };

function readType(file: FileWindow, span: Span): Pick<OnnxValue, 'type' | 'shape'> {
  let type: Pick<OnnxValue, 'type' | 'shape'> = { type: 'undefined', shape: null };
  for (const field of fields(file, span)) {
    const other = OTHER_TYPES[field.number];
    if (field.number === 1) type = readTensorType(file, message(field));
    else if (other !== undefined) type = { type: other, shape: null };
  }
  return type;
}

function readTensorType(file: FileWindow, span: Span): Pick<OnnxValue, 'type' | 'shape'> {
  let type = 'undefined';
  let shape: (number | string)[] | null = null;
  for (const field of fields(file, span)) {
    if (field.number === 1) type = elementTypeName(field.varint);
    else if (field.number === 2) shape = readShape(file, message(field));
  }
  return { type, shape };
}

function readShape(file: FileWindow, span: Span): (number | string)[] {
  const shape: (number | string)[] = [];
  for (const field of fields(file, span)) {
    if (field.number !== 1) continue;
    if (shape.length === MAX_DIMENSIONS) throw new WireError(`a shape has more than ${MAX_DIMENSIONS} dimensions`);
    shape.push(readDimension(file, message(field)));
  }
  return shape;
}

function readDimension(file: FileWindow, span: Span): number | string {
  for (const field of fields(file, span)) {
    if (field.number === 2) return text(file, field) || '?';
    if (field.number === 1) {
      // A negative size is how some exporters say "not known".
      const size = BigInt.asIntN(64, field.varint);
      if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw new WireError(`a dimension of ${size} is too large`);
      return size < 0n ? '?' : Number(size);
    }
  }
  return '?';
}

function message(field: Field): Span {
  if (field.span === null) throw new WireError(`field ${field.number} should be a message`);
  return field.span;
}

function text(file: FileWindow, field: Field): string {
  const span = message(field);
  if (span.end - span.start > MAX_NAME_BYTES) throw new WireError(`a name is longer than ${MAX_NAME_BYTES} bytes`);
  return file.text(span.start, span.end - span.start);
}
