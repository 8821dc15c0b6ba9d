/** What a runner needs of an inference session: a structural type, so that any runtime fits. */
import type { ElementType } from '@shoal/contracts';

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | string[];

/** float16 and bfloat16 are the bit patterns in a Uint16Array; bool is a Uint8Array of 0 and 1. */
export interface SessionTensor {
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

export interface SessionPort {
  /** Outputs by name; those in `preallocated` are written in place (memory of the exact type and shape). */
  run(
    feeds: Readonly<Record<string, SessionTensor>>,
    options?: { readonly preallocated?: Readonly<Record<string, SessionTensor>> },
  ): Promise<Readonly<Record<string, SessionTensor>>>;
  release(): Promise<void>;
}
