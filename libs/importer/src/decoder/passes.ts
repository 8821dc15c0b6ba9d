/** Forward passes of a decoder over the rows of a KV cache, which every pass extends in place. */
import type { IoBinding, Session, Tensor } from '@shoal/onnxruntime';
import type { DecoderInfo } from './info.js';

/** What a pass adds to a row of the cache. */
export interface NewTokens {
  /** Tokens of the row that are in the cache and count; what lies behind them is overwritten. */
  readonly past: number;
  /** Fewer than other rows have, or none, are padded. */
  readonly ids: readonly number[];
  /** Whether what follows the last of them is wanted. */
  readonly wanted: boolean;
  /** Whether `logSumExp` is wanted with it. Default false: it costs as much as the candidates do. */
  readonly logSumExp?: boolean;
  /**
   * Dynamic NTK makes its frequencies for a length: that of the whole prompt while a prompt is processed, in however many
   * passes, else the one that the row has after this pass, which is the default.
   */
  readonly rotaryLength?: number;
}

/** What may follow a token. Views of memory that the next pass overwrites. */
export interface Candidates {
  /** The likeliest tokens, likeliest first, and their logits. */
  readonly ids: BigInt64Array;
  readonly values: Float32Array;
  /** A logit less this is the logarithm of a probability. Undefined where it was not wanted. */
  readonly logSumExp: number | undefined;
  /** Of the whole vocabulary, where the cache was made with `logits`. */
  readonly logits: Float32Array | undefined;
}

export interface CacheOptions {
  /** Texts that are generated side by side. */
  readonly rows: number;
  /** Tokens of a row, padding beside longer rows included. At least the model's `window`. */
  readonly capacity: number;
  /** Hand out the logits of the whole vocabulary too. Default false: they are a few hundred kilobytes per row. */
  readonly logits?: boolean;
  /** Passes take the calling thread for themselves. Default false. */
  readonly blocking?: boolean;
}

/** Of 32-bit floats, or of the bits of 16-bit floats: as the graph takes it. */
type Cache = Float32Array | Uint16Array;

export class DecoderPasses {
  readonly #info: DecoderInfo;
  readonly #options: CacheOptions;
  readonly #binding: IoBinding;
  readonly #takesLengths: boolean;
  /** Keys and values of each layer, [rows, kvHeads, capacity, headDim]. */
  readonly #cache: ReadonlyMap<string, Cache>;
  #inputs = inputsOf(0, 0);
  #outputs = outputsOf(0, 0, 0);
  #sums = sumsOf(-1);

  constructor(session: Session, info: DecoderInfo, options: CacheOptions) {
    this.#info = info;
    this.#options = options;
    this.#binding = session.bind();
    this.#takesLengths = session.inputs.some(({ name }) => name === 'rotary_lengths');
    const names = Array.from({ length: info.layers }, (_, layer) => [`${layer}.key`, `${layer}.value`]).flat();
    const size = options.rows * this.#rowSize;
    const half = session.inputs.some(({ name, type }) => name.startsWith('past_key_values.') && type === 'float16');
    this.#cache = new Map(names.map((name) => [name, half ? new Uint16Array(size) : new Float32Array(size)]));
  }

  /**
   * Rows 0, 1, ... of the cache, in order; rows behind them are left alone. `candidates` is how many of the likeliest
   * tokens are wanted. Entries of the result are undefined where nothing was wanted. One pass at a time.
   *
   * @throws ShoalError `inference_failed`
   */
  async forward(rows: readonly NewTokens[], candidates = 1): Promise<(Candidates | undefined)[]> {
    const sequence = Math.max(1, ...rows.map(({ ids }) => ids.length));
    const asking = rows.flatMap((row, n) => (row.wanted ? [{ row, at: n * sequence + row.ids.length - 1 }] : []));
    const summed = asking.flatMap(({ row }, n) => (row.logSumExp ? [n] : []));
    // The graph takes no empty list: the logits of one token are computed and left there.
    const computed = asking.length > 0 ? asking.map(({ at }) => at) : [0];
    this.#bindInputs(rows.length, sequence);
    this.#bindOutputs(computed.length, Math.min(candidates, this.#info.vocabulary));
    this.#bindSums(summed.length);
    this.#fill(rows, sequence);
    setAll(this.#outputs.indices, computed);
    setAll(this.#sums.indices, summed);
    await this.#binding.run({ blocking: this.#options.blocking ?? false });
    let [at, sum] = [0, 0];
    return rows.map(({ wanted, logSumExp }) =>
      wanted ? this.#candidates(at++, logSumExp ? this.#sums.values[sum++] : undefined) : undefined,
    );
  }

  async release(): Promise<void> {
    await this.#binding.release();
  }

  get #rowSize(): number {
    return this.#info.kvHeads * this.#options.capacity * this.#info.headDim;
  }

  #bindInputs(batch: number, sequence: number): void {
    const before = this.#inputs;
    if (before.batch === batch && before.sequence === sequence) return;
    const inputs = inputsOf(batch, sequence);
    this.#inputs = inputs;
    this.#binding.bindInput('input_ids', int64(inputs.ids, batch, sequence));
    this.#binding.bindInput('position_ids', int64(inputs.positions, batch, sequence));
    this.#binding.bindInput('seqlens_k', { type: 'int32', dims: [batch], data: inputs.lengths });
    this.#binding.bindInput('total_sequence_length', { type: 'int32', dims: [1], data: Int32Array.of(sequence) });
    if (this.#takesLengths) this.#binding.bindInput('rotary_lengths', int64(inputs.rotaryLengths, batch));
    if (before.batch === batch) return;
    const { kvHeads, headDim } = this.#info;
    for (const [name, memory] of this.#cache) {
      const data = memory.subarray(0, batch * this.#rowSize);
      const type = data instanceof Uint16Array ? 'float16' : 'float32';
      const tensor: Tensor = { type, dims: [batch, kvHeads, this.#options.capacity, headDim], data };
      this.#binding.bindInput(`past_key_values.${name}`, tensor);
      this.#binding.bindOutput(`present.${name}`, tensor);
    }
  }

  #bindOutputs(wanted: number, candidates: number): void {
    if (this.#outputs.wanted === wanted && this.#outputs.candidates === candidates) return;
    const { vocabulary } = this.#info;
    const outputs = outputsOf(wanted, candidates, this.#options.logits ? vocabulary : 0);
    this.#outputs = outputs;
    this.#binding.bindInput('logit_indices', int64(outputs.indices, wanted));
    this.#binding.bindInput('top_k', int64(BigInt64Array.of(BigInt(candidates)), 1));
    this.#binding.bindOutput('top_k_values', float32(outputs.values, wanted, candidates));
    this.#binding.bindOutput('top_k_ids', int64(outputs.ids, wanted, candidates));
    if (this.#options.logits) this.#binding.bindOutput('logits', float32(outputs.logits, wanted, vocabulary));
  }

  #bindSums(wanted: number): void {
    if (this.#sums.wanted === wanted) return;
    const sums = sumsOf(wanted);
    this.#sums = sums;
    this.#binding.bindInput('log_sum_exp_indices', int64(sums.indices, wanted));
    this.#binding.bindOutput('log_sum_exp', float32(sums.values, wanted));
  }

  #fill(rows: readonly NewTokens[], sequence: number): void {
    const { ids, positions, lengths, rotaryLengths } = this.#inputs;
    ids.fill(0n);
    positions.fill(0n);
    rows.forEach((row, n) => {
      row.ids.forEach((id, at) => {
        ids[n * sequence + at] = BigInt(id);
        positions[n * sequence + at] = BigInt(row.past + at);
      });
      lengths[n] = row.past + sequence - 1;
      rotaryLengths[n] = BigInt(row.rotaryLength ?? row.past + row.ids.length);
    });
  }

  #candidates(n: number, logSumExp: number | undefined): Candidates {
    const { vocabulary } = this.#info;
    const { candidates, ids, values, logits } = this.#outputs;
    return {
      ids: ids.subarray(n * candidates, (n + 1) * candidates),
      values: values.subarray(n * candidates, (n + 1) * candidates),
      logSumExp,
      logits: this.#options.logits ? logits.subarray(n * vocabulary, (n + 1) * vocabulary) : undefined,
    };
  }
}

function inputsOf(batch: number, sequence: number) {
  return {
    batch,
    sequence,
    ids: new BigInt64Array(batch * sequence),
    positions: new BigInt64Array(batch * sequence),
    lengths: new Int32Array(batch),
    rotaryLengths: new BigInt64Array(batch),
  };
}

function outputsOf(wanted: number, candidates: number, vocabulary: number) {
  return {
    wanted,
    candidates,
    indices: new BigInt64Array(wanted),
    ids: new BigInt64Array(wanted * candidates),
    values: new Float32Array(wanted * candidates),
    logits: new Float32Array(wanted * vocabulary),
  };
}

/** -1: nothing is bound yet. */
function sumsOf(wanted: number) {
  const length = Math.max(0, wanted);
  return { wanted, indices: new BigInt64Array(length), values: new Float32Array(length) };
}

function setAll(to: BigInt64Array, values: readonly number[]): void {
  values.forEach((value, n) => {
    to[n] = BigInt(value);
  });
}

function int64(data: BigInt64Array, ...dims: number[]): Tensor {
  return { type: 'int64', dims, data };
}

function float32(data: Float32Array, ...dims: number[]): Tensor {
  return { type: 'float32', dims, data };
}
