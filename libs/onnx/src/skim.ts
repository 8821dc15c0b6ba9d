/**
 * What a signature needs of a model, in one pass that keeps nothing else: not its nodes, and no element of any tensor, whichever
 * field holds it. Every process that looks into a folder of models reads these, whoever put them there.
 */
import { decodeOpset, decodePair, decodeValueInfo, MAX_DEPTH } from './decode.js';
import { skipTensor } from './decode-tensor.js';
import { type ExternalFiles, notedExternalFiles } from './external-data.js';
import { invalid } from './invalid.js';
import type { ValueInfo } from './types.js';
import type { Reader } from './wire/reader.js';

export interface Skimmed {
  irVersion: number;
  producer: string;
  /** Operator set versions by domain; '' is ONNX's own. */
  readonly opsets: Map<string, number>;
  readonly metadata: Map<string, string>;
  readonly inputs: ValueInfo[];
  readonly outputs: ValueInfo[];
  /** Names of constants. */
  readonly initializers: Set<string>;
  /** Files of external data as they are named, unchecked, and the bytes that each must have at least. */
  readonly externalBytes: Map<string, number>;
}

/** @throws ShoalError `model_invalid` */
export function skimModel(reader: Reader): Skimmed {
  const skimmed: Skimmed = {
    irVersion: 0,
    producer: '',
    opsets: new Map(),
    metadata: new Map(),
    inputs: [],
    outputs: [],
    initializers: new Set(),
    externalBytes: new Map(),
  };
  const files = notedExternalFiles(skimmed.externalBytes);
  let graphs = 0;
  while (reader.next()) {
    const { field } = reader;
    if (field === 1) skimmed.irVersion = reader.count('the IR version');
    else if (field === 2) skimmed.producer = reader.string();
    else if (field === 7) {
      if (graphs++ > 0) throw invalid('it holds more than one graph');
      skimGraph(reader.message(), files, 0, skimmed);
    } else if (field === 8) skimmed.opsets.set(...decodeOpset(reader.message()));
    else if (field === 14) skimmed.metadata.set(...decodePair(reader.message()));
    else if (field === 25) skimFunction(reader.message(), files);
  }
  if (graphs === 0) throw invalid('it holds no graph');
  return skimmed;
}

/** `skimmed` is of the model's own graph, and of none within it. */
function skimGraph(reader: Reader, files: ExternalFiles, depth: number, skimmed?: Skimmed): void {
  if (depth > MAX_DEPTH) throw invalid(`graphs are nested more than ${MAX_DEPTH} deep`);
  while (reader.next()) {
    const { field } = reader;
    if (field === 1) skimNode(reader.message(), files, depth);
    else if (field === 5) {
      const name = skipTensor(reader.message(), files);
      skimmed?.initializers.add(name);
    } else if (field === 11) skimmed?.inputs.push(decodeValueInfo(reader.message()));
    else if (field === 12) skimmed?.outputs.push(decodeValueInfo(reader.message()));
    else if (field === 15) skimSparse(reader.message(), files);
  }
}

function skimNode(reader: Reader, files: ExternalFiles, depth: number): void {
  while (reader.next()) if (reader.field === 5) skimAttribute(reader.message(), files, depth);
}

function skimAttribute(reader: Reader, files: ExternalFiles, depth: number): void {
  while (reader.next()) {
    const { field } = reader;
    if (field === 5 || field === 10) skipTensor(reader.message(), files);
    else if (field === 6 || field === 11) skimGraph(reader.message(), files, depth + 1);
    else if (field === 22 || field === 23) skimSparse(reader.message(), files);
  }
}

/** A FunctionProto: nodes (7) and default attributes (11). */
function skimFunction(reader: Reader, files: ExternalFiles): void {
  while (reader.next()) {
    if (reader.field === 7) skimNode(reader.message(), files, 0);
    else if (reader.field === 11) skimAttribute(reader.message(), files, 0);
  }
}

/** A SparseTensorProto: values (1) and indices (2). */
function skimSparse(reader: Reader, files: ExternalFiles): void {
  while (reader.next()) if (reader.field === 1 || reader.field === 2) skipTensor(reader.message(), files);
}
