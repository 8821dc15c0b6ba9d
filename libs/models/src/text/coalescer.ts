/** Turns single calls into batches: what arrives in one turn of the event loop, or while a batch is under way. */

interface Waiting<I, O> {
  readonly input: I;
  readonly resolve: (output: O) => void;
  readonly reject: (error: unknown) => void;
}

export interface CoalescerLimits<I> {
  /** Most inputs of a batch, and most of their sizes together, where it has more than one. */
  readonly maxBatch: number;
  readonly maxSize: number;
  sizeOf(input: I): number;
  /** Most batches at once. */
  readonly lanes: number;
}

/** Runs `batch` on some inputs at a time. Order within a call is kept. */
export class Coalescer<I, O> {
  readonly #batch: (inputs: I[]) => Promise<readonly O[]>;
  readonly #limits: CoalescerLimits<I>;
  #freeLanes: number;
  #waiting: Waiting<I, O>[] = [];

  constructor(batch: (inputs: I[]) => Promise<readonly O[]>, limits: CoalescerLimits<I>) {
    this.#batch = batch;
    this.#limits = limits;
    this.#freeLanes = limits.lanes;
  }

  run(input: I): Promise<O> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ input, resolve, reject });
      // At the end of the turn: requests that came in together, and the items of one array, start as one batch.
      if (this.#waiting.length === 1) setImmediate(() => this.#start());
    });
  }

  #start(): void {
    while (this.#freeLanes > 0 && this.#waiting.length > 0) {
      const taken = this.#waiting.splice(0, this.#next());
      this.#freeLanes--;
      void this.#run(taken);
    }
  }

  /** How many inputs the next batch has. */
  #next(): number {
    const { maxBatch, maxSize, sizeOf } = this.#limits;
    let size = 0;
    let count = 0;
    while (count < maxBatch && count < this.#waiting.length) {
      size += sizeOf(this.#waiting[count]!.input);
      if (count > 0 && size > maxSize) break;
      count++;
    }
    return count;
  }

  async #run(taken: readonly Waiting<I, O>[]): Promise<void> {
    await this.#settle(taken);
    this.#freeLanes++;
    this.#start();
  }

  async #settle(taken: readonly Waiting<I, O>[]): Promise<void> {
    try {
      const outputs = await this.#batch(taken.map(({ input }) => input));
      for (const [i, { resolve }] of taken.entries()) resolve(outputs[i]!);
    } catch (error) {
      // One input must not fail the others' calls: each gets an outcome of its own.
      if (taken.length === 1) taken[0]!.reject(error);
      else for (const one of taken) await this.#settle([one]);
    }
  }
}
