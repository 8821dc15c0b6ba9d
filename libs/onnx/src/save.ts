/** Writes ONNX models, a piece at a time: the largest tensor, not the model, has to fit into memory. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { encodeModel, type Placement } from './encode.js';
import { invalid } from './invalid.js';
import type { TensorData } from './tensor-data.js';
import type { Graph, Model, Tensor } from './types.js';
import type { Piece } from './wire/writer.js';

/** Protobuf's own limit for one message, less room for what is not weights. */
const MAX_FILE_BYTES = 2 ** 31 - 1;
/** Above this, weights go to a file beside: runtimes map it into memory instead of copying it. */
const INLINE_BYTES = 64 * 1024 * 1024;
/** Smaller tensors stay in the model: operators read shapes and axes from them before any data is loaded. */
const EXTERNAL_FROM_BYTES = 1024;
/** What mapping a part of a file needs: Windows' allocation granularity is the largest of all systems'. */
const ALIGNMENT = 64 * 1024;
const ALIGN_FROM_BYTES = 1024 * 1024;
const SMALL_ALIGNMENT = 64;

const BUFFER_BYTES = 1024 * 1024;

export interface SaveOptions {
  /** Weights in a file beside the model: always, never, or (left out) where they are more than 64 MiB. */
  readonly externalData?: boolean;
}

/**
 * Writes `path` and, with external data, `<path>.data`; files of these names are replaced when everything has been written.
 *
 * @throws ShoalError `encodedinvalid` where the model is too large for one file and none may be beside it
 */
export function saveModel(model: Model, path: string, { externalData }: SaveOptions = {}): void {
  const tensors = [...tensorsOf(model.graph)];
  const total = tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
  const beside = externalData ?? total > INLINE_BYTES;
  const dataPath = `${path}.data`;
  const layout = beside ? layOut(tensors, basename(dataPath)) : { places: new Map(), order: [] };
  const encoded = encodeModel(model, (data) => layout.places.get(data));
  if (encoded.byteLength > MAX_FILE_BYTES) {
    throw invalid(
      `the model needs ${encoded.byteLength} bytes, and one file can hold 2 GiB: save it with external data`,
    );
  }
  if (beside) writeFile(dataPath, padded(layout.order));
  writeFile(path, encoded.pieces);
}

/** Bytes of a model that is one file. For small models and tests. */
export function serialiseModel(model: Model): Uint8Array {
  const { pieces } = encodeModel(model, () => undefined);
  return Buffer.concat(pieces.map((piece) => (piece instanceof Uint8Array ? piece : piece.bytes())));
}

interface Placed {
  readonly data: TensorData;
  readonly offset: number;
}

function layOut(
  tensors: readonly Tensor[],
  location: string,
): { places: Map<TensorData, NonNullable<ReturnType<Placement>>>; order: Placed[] } {
  const places = new Map<TensorData, { location: string; offset: number }>();
  const order: Placed[] = [];
  let end = 0;
  for (const { data } of tensors) {
    // Tensors that share their data share their place: tied embeddings are stored once.
    if (data.byteLength < EXTERNAL_FROM_BYTES || places.has(data)) continue;
    const alignment = data.byteLength >= ALIGN_FROM_BYTES ? ALIGNMENT : SMALL_ALIGNMENT;
    const offset = Math.ceil(end / alignment) * alignment;
    places.set(data, { location, offset });
    order.push({ data, offset });
    end = offset + data.byteLength;
  }
  return { places, order };
}

function* padded(order: readonly Placed[]): Iterable<Piece> {
  let at = 0;
  for (const { data, offset } of order) {
    if (offset > at) yield new Uint8Array(offset - at);
    yield data;
    at = offset + data.byteLength;
  }
}

function* tensorsOf(graph: Graph): Iterable<Tensor> {
  yield* graph.initializers.values();
  for (const { attributes } of graph.nodes) {
    for (const attribute of attributes.values()) {
      if (attribute.type === 'tensor') yield attribute.value;
      else if (attribute.type === 'tensors') yield* attribute.value;
      else if (attribute.type === 'graph') yield* tensorsOf(attribute.value);
      else if (attribute.type === 'graphs') for (const inner of attribute.value) yield* tensorsOf(inner);
    }
  }
}

/** Under another name until it is complete, so that a model saved over itself is read to its end. */
function writeFile(path: string, pieces: Iterable<Piece>): void {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  const file = openSync(temporary, 'w');
  try {
    const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
    let filled = 0;
    const flush = () => {
      writeAll(file, buffer.subarray(0, filled));
      filled = 0;
    };
    const write = (bytes: Uint8Array) => {
      if (filled + bytes.length > buffer.length) flush();
      if (bytes.length >= buffer.length) writeAll(file, bytes);
      else {
        buffer.set(bytes, filled);
        filled += bytes.length;
      }
    };
    for (const piece of pieces) {
      if (piece instanceof Uint8Array) write(piece);
      else for (const chunk of piece.chunks()) write(chunk);
    }
    flush();
    fsyncSync(file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done);
}
