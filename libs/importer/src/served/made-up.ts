/**
 * A checkpoint that has whatever is asked for, in the shape that it is asked for, filled with numbers that are made up: what an
 * architecture wants of a checkpoint is seen by building it from one of these.
 */
import { Checkpoint } from '../checkpoint.js';
import { Matrix } from '../matrix.js';

/** A tensor that was asked for. */
export interface AskedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Numbers in it. */
  readonly count: number;
  /** Of its first number, when the numbers of all tensors that were asked for stand in one row. */
  readonly first: number;
}

/** Which names there are: architectures look for some to tell which spelling a checkpoint is in. */
export interface KnownNames {
  readonly names: readonly string[];
  has(name: string): boolean;
}

/** What was asked for, over all builds. */
export class Asked {
  readonly tensors = new Map<string, AskedTensor>();
  #end = 0;

  /** Asks for a tensor; one that was asked for before stays where it is. */
  find(name: string, shape: readonly number[]): AskedTensor {
    const there = this.tensors.get(name);
    if (there !== undefined) return there;
    const count = shape.reduce((product, dim) => product * dim, 1);
    const tensor: AskedTensor = { name, shape, count, first: this.#end };
    this.#end += count;
    this.tensors.set(name, tensor);
    return tensor;
  }
}

/** The numbers of a tensor, called at each use. */
export type MakeNumbers = (tensor: AskedTensor) => Float32Array;

export class MadeUpCheckpoint extends Checkpoint {
  readonly #asked: Asked;
  readonly #known: KnownNames;
  readonly #make: MakeNumbers;
  readonly #prefix: string;

  constructor(asked: Asked, known: KnownNames, make: MakeNumbers, prefix = '') {
    super(new Map());
    this.#asked = asked;
    this.#known = known;
    this.#make = make;
    this.#prefix = prefix;
  }

  override has(name: string): boolean {
    return this.#known.has(this.#prefix + name);
  }

  override get names(): readonly string[] {
    const own = this.#known.names.filter((name) => name.startsWith(this.#prefix));
    return own.map((name) => name.slice(this.#prefix.length));
  }

  /** None: only what is asked for is there. */
  override get unused(): readonly string[] {
    return [];
  }

  override below(prefix: string): MadeUpCheckpoint {
    return new MadeUpCheckpoint(this.#asked, this.#known, this.#make, this.#prefix + prefix);
  }

  override matrix(name: string, rows: number, columns: number): Matrix {
    const tensor = this.#asked.find(this.#prefix + name, [rows, columns]);
    return new Matrix(rows, columns, () => this.#make(tensor));
  }

  override tensor(name: string, shape: readonly number[]): Float32Array {
    return this.#make(this.#asked.find(this.#prefix + name, shape));
  }
}
