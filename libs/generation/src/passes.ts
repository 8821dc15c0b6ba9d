/** Forward passes of a decoder over rows of a KV cache, which every pass extends in place. */
import { ShoalError } from '@shoal/contracts';
import type { DecoderInfo } from '@shoal/models';
import type { IoBinding, Session, Tensor } from '@shoal/onnxruntime';
import type { KvCache } from './kv/cache.js';
import type { Candidates } from './sampling/candidates.js';

/** What a pass adds to a row of the cache. */
export interface NewTokens {
  /** Tokens of the row that are in the cache and count; what lies behind them is overwritten. */
  readonly past: number;
  /** Fewer than other rows have, or none, are padded. */
  readonly ids: ArrayLike<number>;
  /** Of how many of the last of them it is wanted what may follow. */
  readonly wanted: number;
  /** Whether `logSumExp` is wanted with it. Default false: it costs as much as the candidates do. */
  readonly logSumExp?: boolean;
  /**
   * Dynamic NTK and longrope make frequencies for a length: that of the whole prompt while a prompt is processed, in however
   * many passes, else the one that the row has after this pass, which is the default.
   */
  readonly rotaryLength?: number;
}

export interface PassOptions {
  /** Hand out the logits of the whole vocabulary too. Default false: they are a few hundred kilobytes per row. */
  readonly logits?: boolean;
  /** Passes take the calling thread for themselves. Default false. */
  readonly blocking?: boolean;
}

/** The shape of a pass: memory is bound anew only for what changes from one pass to the next. */
interface Shape {
  readonly first: number;
  readonly batch: number;
  readonly sequence: number;
  readonly wanted: number;
  readonly candidates: number;
  readonly summed: number;
}

export class DecoderPasses {
  /** Whether frequencies change with every token (dynamic NTK): keys and values of a prefix are then not those of a longer text. */
  readonly changesAlways: boolean;
  readonly #takesLengths: boolean;
  readonly #info: DecoderInfo;
  readonly #cache: KvCache;
  readonly #options: PassOptions;
  readonly #binding: IoBinding;
  #bound: Shape | undefined;
  #running = false;
  #inputs = inputsOf(0, 0);
  #outputs = outputsOf(0, 0, 0);
  /** Only grows: to clear some megabytes anew whenever a text comes or goes would take longer than to choose tokens. */
  #logits = new Float32Array(0);

  constructor(session: Session, info: DecoderInfo, cache: KvCache, options: PassOptions = {}) {
    this.#takesLengths = session.inputs.some(({ name }) => name === 'rotary_lengths');
    this.changesAlways = this.#takesLengths && info.recomputedBeyond === null;
    this.#info = info;
    this.#cache = cache;
    this.#options = options;
    this.#binding = session.bind();
  }

  /**
   * Rows `first`, `first + 1`, ... of the cache, in order; the others are left alone. `candidates` is how many of the
   * likeliest tokens are wanted. The result holds, of each row, what may follow the last `wanted` of its new tokens: views of
   * memory that the next pass overwrites. One pass at a time.
   *
   * @throws ShoalError `inference_failed`, and nothing has changed where a row is longer than the cache or a token unknown
   */
  async forward(rows: readonly NewTokens[], { first = 0, candidates = 1 } = {}): Promise<(readonly Candidates[])[]> {
    const sequence = Math.max(1, ...rows.map(({ ids }) => ids.length));
    this.#check(rows, first, sequence);
    const asking = rows.flatMap(({ ids, wanted, logSumExp = false }, row) =>
      Array.from({ length: wanted }, (_, n) => ({ at: row * sequence + ids.length - wanted + n, logSumExp })),
    );
    const summed = asking.flatMap(({ logSumExp }, n) => (logSumExp ? [n] : []));
    // The graph takes no empty list: the logits of one token are computed and left there.
    const computed = asking.length > 0 ? asking.map(({ at }) => at) : [0];
    this.#running = true;
    try {
      this.#bind({
        ...{ first, batch: rows.length, sequence, wanted: computed.length, summed: summed.length },
        candidates: Math.min(candidates, this.#info.vocabulary),
      });
      this.#fill(rows, sequence);
      setAll(this.#outputs.indices, computed);
      setAll(this.#outputs.summed, summed);
      await this.#binding.run({ blocking: this.#options.blocking ?? false });
    } finally {
      this.#running = false;
    }
    let [at, sum] = [0, 0];
    return rows.map(({ wanted, logSumExp }) =>
      Array.from({ length: wanted }, () => this.#candidates(at++, logSumExp ? this.#outputs.sums[sum++] : undefined)),
    );
  }

  async release(): Promise<void> {
    await this.#binding.release();
  }

  #check(rows: readonly NewTokens[], first: number, sequence: number): void {
    if (this.#running) throw new ShoalError('inference_failed', 'A pass is running');
    if (rows.length === 0 || first < 0 || first + rows.length > this.#cache.rows) {
      throw new ShoalError('inference_failed', `The cache has ${this.#cache.rows} rows`);
    }
    for (const { past, ids, wanted } of rows) {
      // Padding is written too, and what lies behind the end of a row is another one's.
      if (past < 0 || past + sequence > this.#cache.capacity) {
        throw new ShoalError('inference_failed', `A row of the cache has room for ${this.#cache.capacity} tokens`);
      }
      if (wanted < 0 || wanted > ids.length) throw new ShoalError('inference_failed', 'More is wanted than is new');
      for (let n = 0; n < ids.length; n++) {
        const id = ids[n]!;
        if (!Number.isInteger(id) || id < 0 || id >= this.#info.vocabulary)
          throw new ShoalError('inference_failed', 'A token is unknown');
      }
    }
  }

  #bind(shape: Shape): void {
    const before = this.#bound;
    // Whatever fails half way is bound anew by the next pass.
    this.#bound = undefined;
    const { first, batch, sequence } = shape;
    if (before?.batch !== batch || before.sequence !== sequence) this.#bindInputs(batch, sequence);
    if (before?.batch !== batch || before.first !== first) this.#bindCache(first, batch);
    const { wanted, candidates, summed } = shape;
    const same = before?.wanted === wanted && before.candidates === candidates && before.summed === summed;
    if (!same) this.#bindOutputs(wanted, candidates, summed);
    this.#bound = shape;
  }

  #bindInputs(batch: number, sequence: number): void {
    const inputs = inputsOf(batch, sequence);
    this.#inputs = inputs;
    this.#binding.bindInput('input_ids', int64(inputs.ids, batch, sequence));
    this.#binding.bindInput('position_ids', int64(inputs.positions, batch, sequence));
    this.#binding.bindInput('seqlens_k', { type: 'int32', dims: [batch], data: inputs.lengths });
    this.#binding.bindInput('total_sequence_length', { type: 'int32', dims: [1], data: Int32Array.of(sequence) });
    if (this.#takesLengths) this.#binding.bindInput('rotary_lengths', int64(inputs.rotaryLengths, batch));
  }

  #bindCache(first: number, batch: number): void {
    for (const [name, tensor] of this.#cache.views(first, batch)) {
      this.#binding.bindInput(`past_key_values.${name}`, tensor);
      this.#binding.bindOutput(`present.${name}`, tensor);
    }
  }

  #bindOutputs(wanted: number, candidates: number, summed: number): void {
    const outputs = outputsOf(wanted, candidates, summed);
    this.#outputs = outputs;
    this.#binding.bindInput('logit_indices', int64(outputs.indices, wanted));
    this.#binding.bindInput('top_k', int64(BigInt64Array.of(BigInt(candidates)), 1));
    this.#binding.bindInput('log_sum_exp_indices', int64(outputs.summed, summed));
    this.#binding.bindOutput('top_k_values', float32(outputs.values, wanted, candidates));
    this.#binding.bindOutput('top_k_ids', int64(outputs.ids, wanted, candidates));
    this.#binding.bindOutput('log_sum_exp', float32(outputs.sums, summed));
    if (!this.#options.logits) return;
    const { vocabulary } = this.#info;
    const size = wanted * vocabulary;
    if (this.#logits.length < size) this.#logits = new Float32Array(size);
    this.#binding.bindOutput('logits', float32(this.#logits.subarray(0, size), wanted, vocabulary));
  }

  #fill(rows: readonly NewTokens[], sequence: number): void {
    const { ids, positions, lengths, rotaryLengths } = this.#inputs;
    ids.fill(0n);
    positions.fill(0n);
    rows.forEach((row, n) => {
      for (let at = 0; at < row.ids.length; at++) {
        ids[n * sequence + at] = BigInt(row.ids[at]!);
        positions[n * sequence + at] = BigInt(row.past + at);
      }
      lengths[n] = row.past + sequence - 1;
      rotaryLengths[n] = BigInt(row.rotaryLength ?? row.past + row.ids.length);
    });
  }

  #candidates(n: number, logSumExp: number | undefined): Candidates {
    const { vocabulary } = this.#info;
    const { candidates, ids, values } = this.#outputs;
    return {
      ids: ids.subarray(n * candidates, (n + 1) * candidates),
      values: values.subarray(n * candidates, (n + 1) * candidates),
      logSumExp,
      logits: this.#options.logits ? this.#logits.subarray(n * vocabulary, (n + 1) * vocabulary) : undefined,
    };
  }
}

function inputsOf(batch: number, sequence: number) {
  return {
    ids: new BigInt64Array(batch * sequence),
    positions: new BigInt64Array(batch * sequence),
    lengths: new Int32Array(batch),
    rotaryLengths: new BigInt64Array(batch),
  };
}

function outputsOf(wanted: number, candidates: number, summed: number) {
  return {
    candidates,
    indices: new BigInt64Array(wanted),
    ids: new BigInt64Array(wanted * candidates),
    values: new Float32Array(wanted * candidates),
    summed: new BigInt64Array(summed),
    sums: new Float32Array(summed),
  };
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
