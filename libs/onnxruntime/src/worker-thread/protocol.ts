/** What the two sides of the worker thread say to each other. */
import type { InferenceSession } from 'onnxruntime-node';
import type { Tensor, TensorInfo, Tensors } from '../types.js';

export type Request =
  | {
      readonly id: number;
      readonly op: 'load';
      readonly model: string | Uint8Array;
      readonly options: InferenceSession.SessionOptions;
    }
  | { readonly id: number; readonly op: 'run'; readonly feeds: Tensors; readonly outputs: readonly string[] }
  | { readonly id: number; readonly op: 'release' };

export interface Signature {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
}

export type Reply =
  | { readonly id: number; readonly result: Signature | Record<string, Tensor> | undefined }
  | { readonly id: number; readonly error: string };
