/** The weights of a Hugging Face folder: `model.safetensors`, or the shards that its index names. */
import { lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJsonFile } from '@shoal/contracts';
import { refuseLfsPointer } from '@shoal/onnx';
import { z } from 'zod';
import { invalid } from './invalid.js';
import { Matrix, type StoredMatrix } from './matrix.js';
import { finiteFloats } from './numbers.js';
import { readQuantised } from './quantised/read.js';
import { readSafetensors, type StoredTensor } from './safetensors.js';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const MAX_INDEX_BYTES = 64 * 1024 * 1024;

/** What a folder with a checkpoint has one of. */
export const CHECKPOINT_FILES: readonly string[] = [SINGLE, INDEX];

const Index = z.object({ weight_map: z.record(z.string(), z.string()) });

/** Files that hold code as well as weights: loading one can run anything. */
const PICKLES = ['pytorch_model.bin', 'pytorch_model.bin.index.json', 'model.pt', 'model.pth', 'model.ckpt'];

/** Tensors by name, with a note of which were asked for. */
export class Checkpoint {
  readonly #tensors: ReadonlyMap<string, StoredTensor | StoredMatrix>;
  readonly #spare: ReadonlySet<string>;
  readonly #asked = new Set<string>();

  /** `spare` are tensors that change nothing where nobody asks for them. */
  constructor(tensors: ReadonlyMap<string, StoredTensor | StoredMatrix>, spare: ReadonlySet<string> = new Set()) {
    this.#tensors = tensors;
    this.#spare = spare;
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  get names(): readonly string[] {
    return [...this.#tensors.keys()];
  }

  /** All of them as they are stored: looking here does not count as asking for one. */
  get stored(): ReadonlyMap<string, StoredTensor | StoredMatrix> {
    return this.#tensors;
  }

  /** The tensors whose names begin with `prefix`, under what follows it. They count as asked for here. */
  below(prefix: string): Checkpoint {
    const own = [...this.#tensors].filter(([name]) => name.startsWith(prefix));
    for (const [name] of own) this.ignore(name);
    return new Checkpoint(new Map(own.map(([name, tensor]) => [name.slice(prefix.length), tensor])));
  }

  /** Numbers in all tensors together. */
  get parameters(): number {
    return [...this.#tensors.values()].reduce((sum, { shape }) => sum + shape.reduce((n, dim) => n * dim, 1), 0);
  }

  /** Those that came in a form of their own. */
  get quantised(): readonly StoredMatrix[] {
    return [...this.#tensors.values()].filter((tensor) => 'matrix' in tensor);
  }

  /** Tensors that nobody has asked for: what an architecture does not know would be lost silently. */
  get unused(): readonly string[] {
    return this.names.filter((name) => !this.#asked.has(name) && !this.#spare.has(name));
  }

  /** Says that a tensor is left out on purpose, so that it does not count as unused. */
  ignore(name: string): void {
    this.#asked.add(name);
  }

  /** A weight of two dimensions as PyTorch stores it: [out, in] of a linear layer, [count, width] of an embedding. */
  matrix(name: string, rows: number, columns: number): Matrix {
    const tensor = this.#expect(name, [rows, columns]);
    if ('matrix' in tensor) return tensor.matrix;
    return new Matrix(rows, columns, () => finiteFloats(tensor, name));
  }

  /** A weight of any shape, row-major. */
  tensor(name: string, shape: readonly number[]): Float32Array {
    const tensor = this.#expect(name, shape);
    if ('matrix' in tensor) throw new RangeError(`${name} is a matrix`);
    return finiteFloats(tensor, name);
  }

  /** A weight of one dimension: a bias, a norm. */
  vector(name: string, length: number): Float32Array {
    return this.tensor(name, [length]);
  }

  #expect(name: string, shape: readonly number[]): StoredTensor | StoredMatrix {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined) throw invalid(`the checkpoint has no tensor ${name}`);
    if (tensor.shape.length !== shape.length || tensor.shape.some((dim, n) => dim !== shape[n])) {
      throw invalid(`${name} has the shape ${tensor.shape.join(' × ')}; config.json asks for ${shape.join(' × ')}`);
    }
    this.#asked.add(name);
    return tensor;
  }
}

/**
 * Opens the weights of `folder`; `config` is its config.json, which says how they are quantised.
 *
 * @throws ShoalError `model_invalid` with what is missing, wrong or not supported
 */
export function openCheckpoint(folder: string, config?: unknown): Checkpoint {
  const { tensors, spare } = readQuantised(openTensors(folder), config);
  return new Checkpoint(tensors, spare);
}

/** Whether a folder of files with these names holds a checkpoint. */
export function hasCheckpoint(names: readonly string[]): boolean {
  return names.some((name) => CHECKPOINT_FILES.includes(name));
}

/** Files that the weights of `folder` lie in, relative to it. @throws ShoalError `model_invalid` */
export function checkpointFiles(folder: string): readonly string[] {
  if (fileIn(folder, SINGLE)) return [SINGLE];
  return [INDEX, ...[...new Set(Object.values(readIndex(folder)))].sort()];
}

function openTensors(folder: string): ReadonlyMap<string, StoredTensor> {
  if (fileIn(folder, SINGLE)) return readSafetensors(join(folder, SINGLE));
  if (fileIn(folder, INDEX)) return readShards(folder);
  const pickle = PICKLES.find((name) => lstatSync(join(folder, name), { throwIfNoEntry: false }) !== undefined);
  throw invalid(
    pickle === undefined
      ? `${folder} has neither ${CHECKPOINT_FILES.join(' nor ')}`
      : `${folder} has its weights in ${pickle}, a Python pickle, which can run code when it is read: save it as safetensors (model.save_pretrained(folder, safe_serialization=True))`,
  );
}

/** The file of each tensor. */
function readIndex(folder: string): Readonly<Record<string, string>> {
  const path = join(folder, INDEX);
  if (lstatSync(path).size > MAX_INDEX_BYTES) throw invalid(`${path} is larger than ${MAX_INDEX_BYTES} bytes`);
  let json: unknown;
  try {
    json = parseJsonFile(readFileSync(path));
  } catch (error) {
    refuseLfsPointer(path);
    throw invalid(`${path} ${(error as Error).message}`, error);
  }
  const index = Index.safeParse(json);
  if (!index.success) throw invalid(`${path} has no weight_map of names`);
  return index.data.weight_map;
}

function readShards(folder: string): Map<string, StoredTensor> {
  const shards = new Map<string, Map<string, StoredTensor>>();
  const tensors = new Map<string, StoredTensor>();
  for (const [name, file] of Object.entries(readIndex(folder))) {
    const shard = shards.get(file) ?? readShard(folder, file);
    shards.set(file, shard);
    const tensor = shard.get(name);
    if (tensor === undefined) throw invalid(`${INDEX} says that ${name} is in ${file}, where it is not`);
    tensors.set(name, tensor);
  }
  return tensors;
}

function readShard(folder: string, file: string): Map<string, StoredTensor> {
  // Names of the folder's own files only: no path leads anywhere else.
  if (!/^[\w.-]+\.safetensors$/.test(file))
    throw invalid(`${INDEX} names ${JSON.stringify(file)}: no file of this folder`);
  if (!fileIn(folder, file)) throw invalid(`${INDEX} names ${file}, which is missing`);
  return readSafetensors(join(folder, file));
}

/** Whether a regular file of this name is there. @throws ShoalError `model_invalid` for links */
export function fileIn(folder: string, name: string): boolean {
  const path = join(folder, name);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return false;
  if (stat.isSymbolicLink()) throw invalid(`${path} is a symbolic link: copy the folder with its targets (cp -rL)`);
  if (!stat.isFile()) throw invalid(`${path} is not a regular file`);
  if (stat.nlink > 1) throw invalid(`${path} has other names (hard links): copy it, so that it is the folder's own`);
  return true;
}
