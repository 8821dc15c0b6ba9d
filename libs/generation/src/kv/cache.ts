/**
 * Keys and values of the tokens of every row, one block of memory per layer and kind. Memory that no token has touched costs
 * addresses only, so that every row may be as long as the longest context.
 */
import type { DecoderInfo } from '@shoal/models';
import { giveBack, type Session, type Tensor } from '@shoal/onnxruntime';

export interface CacheOptions {
  /** Texts that have a place in it. */
  readonly rows: number;
  /** Tokens of a row, padding beside longer rows included. At least the model's `window`. */
  readonly capacity: number;
}

/** Of 32-bit floats, or of the bits of 16-bit floats: as the graph takes it. */
type Elements = Float32Array | Uint16Array;

export class KvCache {
  readonly rows: number;
  readonly capacity: number;
  /** Of the keys and values of one token, in all layers. */
  readonly bytesPerToken: number;
  readonly #info: DecoderInfo;
  /** `0.key`, `0.value`, `1.key`, ... → [rows, kvHeads, capacity, headDim]. */
  readonly #blocks: ReadonlyMap<string, Elements>;
  #scratch: Elements;

  /** @throws RangeError where there are not so many addresses */
  constructor(session: Session, info: DecoderInfo, { rows, capacity }: CacheOptions) {
    const half = takesHalf(session);
    const names = Array.from({ length: info.layers }, (_, layer) => [`${layer}.key`, `${layer}.value`]).flat();
    const size = rows * info.kvHeads * capacity * info.headDim;
    this.rows = rows;
    this.capacity = capacity;
    this.bytesPerToken = bytesPerToken(session, info);
    this.#info = info;
    this.#blocks = new Map(names.map((name) => [name, half ? new Uint16Array(size) : new Float32Array(size)]));
    this.#scratch = half ? new Uint16Array(0) : new Float32Array(0);
  }

  /** Views of `count` rows from `first` on, by name. */
  *views(first: number, count: number): Generator<readonly [name: string, tensor: Tensor]> {
    const { kvHeads, headDim } = this.#info;
    const dims = [count, kvHeads, this.capacity, headDim];
    for (const [name, block] of this.#blocks) {
      const data = block.subarray(first * this.#rowSize, (first + count) * this.#rowSize);
      yield [name, { type: data instanceof Uint16Array ? 'float16' : 'float32', dims, data }];
    }
  }

  /** The first `tokens` of a row, for another row too. */
  copyPrefix(from: number, to: number, tokens: number): void {
    for (const [block, head] of this.#heads()) {
      const start = from * this.#rowSize + head;
      block.copyWithin(to * this.#rowSize + head, start, start + tokens * this.#info.headDim);
    }
  }

  /** Exchanges the first `tokensA` of row `a` and the first `tokensB` of row `b`. */
  swap(a: number, tokensA: number, b: number, tokensB: number): void {
    const { headDim } = this.#info;
    const [sizeA, sizeB] = [tokensA * headDim, tokensB * headDim];
    if (this.#scratch.length < sizeA) {
      this.#scratch = this.#scratch instanceof Uint16Array ? new Uint16Array(sizeA) : new Float32Array(sizeA);
    }
    for (const [block, head] of this.#heads()) {
      const [atA, atB] = [a * this.#rowSize + head, b * this.#rowSize + head];
      this.#scratch.set(block.subarray(atA, atA + sizeA));
      block.copyWithin(atA, atB, atB + sizeB);
      block.set(this.#scratch.subarray(0, sizeA), atB);
    }
  }

  /**
   * Gives the memory of a row's tokens from `kept` to `touched` back to the operating system, but for the pages that they
   * share with others. Whether it was possible.
   */
  giveBack(row: number, kept: number, touched: number): boolean {
    const { headDim } = this.#info;
    for (const [block, head] of this.#heads()) {
      const start = row * this.#rowSize + head;
      if (!giveBack(block.subarray(start + kept * headDim, start + touched * headDim))) return false;
    }
    return true;
  }

  get #rowSize(): number {
    return this.#info.kvHeads * this.capacity * this.#info.headDim;
  }

  /** Each block with the place of each head in a row of it. */
  *#heads(): Generator<readonly [Elements, number]> {
    for (const block of this.#blocks.values()) {
      for (let head = 0; head < this.#info.kvHeads; head++) yield [block, head * this.capacity * this.#info.headDim];
    }
  }
}

/** Of the keys and values of one token, in all layers. */
export function bytesPerToken(graph: Inputs, { layers, kvHeads, headDim }: DecoderInfo): number {
  return 2 * layers * kvHeads * headDim * (takesHalf(graph) ? 2 : 4);
}

interface Inputs {
  readonly inputs: readonly { readonly name: string; readonly type: string }[];
}

function takesHalf({ inputs }: Inputs): boolean {
  return inputs.some(({ name, type }) => name.startsWith('past_key_values.') && type === 'float16');
}
