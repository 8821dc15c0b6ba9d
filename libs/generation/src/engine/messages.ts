/** What the thread of an engine and the one that it belongs to say to each other. */
import type { ErrorCode } from '@shoal/contracts';
import type { DecoderSettings } from '../session-options.js';
import type { GenerationRequest } from '../types.js';
import type { StepEvents } from './events.js';

/** What the thread is made with. */
export interface ThreadOptions {
  /** Of the ONNX file. */
  readonly modelPath: string;
  readonly settings: DecoderSettings;
  /** Bytes that the process may have. */
  readonly memoryLimit: number;
  /** Of what the model leaves of it, what the cache may have. */
  readonly cacheShare: number;
  readonly context: number | undefined;
  readonly rows: number | undefined;
  /** Counts the messages to the thread, so that it can rest until there is one. */
  readonly bell: SharedArrayBuffer;
  /** See SharedStats. */
  readonly stats: SharedArrayBuffer;
}

export type ToThread =
  | { readonly kind: 'start'; readonly request: GenerationRequest }
  | { readonly kind: 'stop'; readonly id: number }
  | { readonly kind: 'close' };

export interface ReadyEngine {
  /** Texts at once. */
  readonly rows: number;
  /** Tokens of prompt and answer together. */
  readonly context: number;
  readonly vocabulary: number;
  /** Bytes that the cache may come to take. */
  readonly reservedBytes: number;
}

export type FromThread =
  | ({ readonly kind: 'ready' } & ReadyEngine)
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly detail: string }
  | { readonly kind: 'step'; readonly events: StepEvents };
