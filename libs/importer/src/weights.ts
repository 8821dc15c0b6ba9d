/** The tensors of a checkpoint below one prefix, as the layers ask for them. */
import type { Checkpoint } from './checkpoint.js';
import type { Matrix } from './matrix.js';

export interface Linear {
  /** Of the weight, in the checkpoint. */
  readonly name: string;
  readonly weight: Matrix;
  readonly bias: Float32Array | undefined;
}

export class Weights {
  readonly #checkpoint: Checkpoint;
  readonly #prefix: string;

  constructor(checkpoint: Checkpoint, prefix = '') {
    this.#checkpoint = checkpoint;
    this.#prefix = prefix;
  }

  within(name: string): Weights {
    return new Weights(this.#checkpoint, `${this.#prefix}${name}.`);
  }

  /** The first of these names with something below it: checkpoints have the name of the trunk in front or not. */
  root(...names: readonly string[]): Weights {
    const there = names.find((name) => this.#checkpoint.names.some((tensor) => tensor.startsWith(`${name}.`)));
    return there === undefined ? this : this.within(there);
  }

  /** `count` things below `name`, by their numbers. */
  list(name: string, count: number): readonly Weights[] {
    return Array.from({ length: count }, (_, n) => this.within(`${name}.${n}`));
  }

  has(name: string): boolean {
    return this.#checkpoint.has(this.#prefix + name);
  }

  linear(name: string, inputs: number, outputs: number, bias = true): Linear {
    return {
      name: `${this.#prefix}${name}.weight`,
      weight: this.matrix(`${name}.weight`, outputs, inputs),
      bias: bias ? this.vector(`${name}.bias`, outputs) : undefined,
    };
  }

  matrix(name: string, rows: number, columns: number): Matrix {
    return this.#checkpoint.matrix(this.#prefix + name, rows, columns);
  }

  vector(name: string, length: number): Float32Array {
    return this.#checkpoint.vector(this.#prefix + name, length);
  }

  tensor(name: string, shape: readonly number[]): Float32Array {
    return this.#checkpoint.tensor(this.#prefix + name, shape);
  }

  /** Gain and bias of a LayerNorm, which checkpoints that came from TensorFlow call gamma and beta. */
  norm(name: string, width: number, bias = true): Norm {
    const old = this.#checkpoint.has(`${this.#prefix}${name}.gamma`);
    return {
      name: this.#prefix + name,
      gain: this.vector(`${name}.${old ? 'gamma' : 'weight'}`, width),
      bias: bias ? this.vector(`${name}.${old ? 'beta' : 'bias'}`, width) : undefined,
    };
  }

  name(name: string): string {
    return this.#prefix + name;
  }

  /** Tensors that do not change what the graph puts out: buffers, and heads for a task that is not served. */
  ignore(...patterns: readonly RegExp[]): void {
    for (const name of this.#checkpoint.names) {
      const own = name.startsWith(this.#prefix) ? name.slice(this.#prefix.length) : name;
      if (patterns.some((pattern) => pattern.test(own))) this.#checkpoint.ignore(name);
    }
  }
}

export interface Norm {
  readonly name: string;
  readonly gain: Float32Array;
  readonly bias: Float32Array | undefined;
}
