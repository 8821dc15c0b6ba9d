/** Passes over texts that are there already, one at a time and piece by piece: what a graph makes of their tokens. */
import type { DecoderInfo } from '@shoal/models';
import type { Session, Tensor, Tensors } from '@shoal/onnxruntime';
import { KvCache } from './kv/cache.js';

/** Neighbouring tokens of a text. */
export interface TextPiece {
  /** Place of the first of them in the text. All before it have been read. */
  readonly from: number;
  readonly length: number;
  /** Those of them that logits are wanted of, counted from 0; without any, those of the last: the graph takes no empty list. */
  readonly wanted?: readonly number[];
  /** Whether `log_sum_exp` is wanted with them. Default false. */
  readonly logSumExp?: boolean;
}

export interface TextPassOptions {
  /** Names of the outputs to hand out. */
  readonly outputs: readonly string[];
  readonly signal?: AbortSignal;
}

export class TextPasses {
  readonly #session: Session;
  readonly #takesLengths: boolean;
  readonly #past: Readonly<Record<string, Tensor>>;
  readonly #present: Readonly<Record<string, Tensor>>;

  /** `capacity`: tokens of the longest text, and of the longest piece besides; at least the model's window. */
  constructor(session: Session, info: DecoderInfo, capacity: number) {
    const views = [...new KvCache(session, info, { rows: 1, capacity }).views(0, 1)];
    this.#session = session;
    this.#takesLengths = session.inputs.some(({ name }) => name === 'rotary_lengths');
    this.#past = Object.fromEntries(views.map(([name, view]) => [`past_key_values.${name}`, view]));
    this.#present = Object.fromEntries(views.map(([name, view]) => [`present.${name}`, view]));
  }

  /**
   * The outputs for a piece of a text, behind the pieces before it: logits are [wanted, vocabulary]. A piece from 0 on begins
   * another text. One at a time.
   *
   * @throws ShoalError `inference_failed`; the signal's reason
   */
  async read(text: ArrayLike<number>, piece: TextPiece, { outputs, signal }: TextPassOptions): Promise<Tensors> {
    return await this.#session.run(
      { ...this.#feedsOf(text, piece), ...this.#past },
      {
        outputs: [...outputs, ...Object.keys(this.#present)],
        preallocated: this.#present,
        ...(signal !== undefined && { signal }),
      },
    );
  }

  #feedsOf(text: ArrayLike<number>, { from, length, wanted = [], logSumExp = false }: TextPiece): Tensors {
    const places = Array.from({ length }, (_, n) => from + n);
    const computed = wanted.length > 0 ? wanted : [length - 1];
    const summed = logSumExp ? computed.map((_, n) => n) : [];
    return {
      input_ids: int64(
        places.map((at) => text[at]!),
        1,
        length,
      ),
      position_ids: int64(places, 1, length),
      seqlens_k: { type: 'int32', dims: [1], data: Int32Array.of(from + length - 1) },
      total_sequence_length: { type: 'int32', dims: [1], data: Int32Array.of(length) },
      logit_indices: int64(computed, computed.length),
      log_sum_exp_indices: int64(summed, summed.length),
      top_k: int64([1], 1),
      // Frequencies of a text are those of its whole length, however it is cut.
      ...(this.#takesLengths && { rotary_lengths: int64([text.length], 1) }),
    };
  }
}

function int64(values: readonly number[], ...dims: number[]): Tensor {
  return { type: 'int64', dims, data: BigInt64Array.from(values, BigInt) };
}
