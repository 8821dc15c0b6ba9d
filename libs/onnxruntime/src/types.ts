/** The one interface of this package; two implementations stand behind it (`c-api/`, `worker-thread/`). */
import type { ElementType } from '@shoal/contracts';

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array;

/**
 * A dense row-major tensor. `data` holds as many elements as `dims` multiply to; float16 and bfloat16 are their bits in a
 * Uint16Array, bool is 0 or 1 in a Uint8Array, int64 and uint64 are BigInt arrays, strings must not hold NUL.
 */
export interface Tensor {
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly data: TypedArray | string[];
}

export type Tensors = Readonly<Record<string, Tensor>>;

/** An input or output of a graph. */
export interface TensorInfo {
  readonly name: string;
  readonly type: ElementType;
  /**
   * A number where the dimension is fixed, its name where it is symbolic, '' where it is dynamic without a name. Empty for
   * a scalar and for a tensor of unknown rank: ONNX Runtime does not tell them apart.
   */
  readonly shape: readonly (number | string)[];
}

/** What the model's file says of itself. */
export interface ModelMetadata {
  readonly producer: string;
  readonly graphName: string;
  readonly description: string;
  /** The `metadata_props` of the file. */
  readonly custom: Readonly<Record<string, string>>;
}

export interface SessionOptions {
  /** `cpu` (default), `cuda[:N]`, `tensorrt[:N]`, `webgpu`, `coreml` or `directml`. */
  readonly device?: string;
  /** Options of the device's execution provider, by ONNX Runtime's own names (`gpu_mem_limit`, `trt_fp16_enable`). */
  readonly deviceOptions?: Readonly<Record<string, string>>;
  /** Threads that share the work of one operator; 0 lets ONNX Runtime take all physical cores. Default 1. */
  readonly intraOpThreads?: number;
  /** Threads that run independent operators of one graph side by side; default 1: one operator after the other. */
  readonly interOpThreads?: number;
  /** Default `all`. */
  readonly graphOptimization?: 'none' | 'basic' | 'extended' | 'all';
  /** Idle threads burn CPU waiting for work: faster by little on a machine of its own, harmful on a shared one. Default false. */
  readonly spinning?: boolean;
  /** Plan memory once per set of input shapes; the plans are never freed, so only for shapes that recur. Default false. */
  readonly memoryPattern?: boolean;
  /** Keep freed CPU memory for the next run. Default true. */
  readonly cpuArena?: boolean;
  /**
   * Whether `GroupQueryAttention` is computed in blocks, on the CPU. Left out: as the session before this one that gave it had
   * it, else so. Only for runtimes of `openRuntime`.
   */
  readonly flashAttention?: boolean;
  /** Session config entries by ONNX Runtime's own names (`session.set_denormal_as_zero`). */
  readonly config?: Readonly<Record<string, string>>;
}

export interface RunOptions {
  /** The outputs to compute and return; default all. */
  readonly outputs?: readonly string[];
  /**
   * Ends the run between two operators; `run` then rejects with the signal's reason. (The worker-thread implementation
   * cannot stop ONNX Runtime: it rejects at once and lets the run end unseen.)
   */
  readonly signal?: AbortSignal;
  /** Memory for some of the outputs, of the exact type and shape; written in place and returned as it is. No strings. */
  readonly preallocated?: Tensors;
}

export interface BoundRunOptions extends Pick<RunOptions, 'signal'> {
  /**
   * Runs on the calling thread, which does nothing else meanwhile: for a thread that has nothing else to do. It saves two
   * changes of thread, a tenth of a small decoder's step. Such a run cannot be ended by `signal`. The worker-thread
   * implementation runs in a thread of its own all the same.
   */
  readonly blocking?: boolean;
}

/**
 * Inputs and outputs bound to a session once and run many times. One run at a time. Memory that is bound must not be
 * transferred to another thread until the binding is released.
 */
export interface IoBinding {
  /** Binds memory that every later run reads; the caller may rewrite it between runs. Strings are read at once. */
  bindInput(name: string, tensor: Tensor): void;
  /**
   * Binds memory of the exact type and shape, which every later run overwrites in place, or the name of a device (`cpu`,
   * `cuda:0`) on which each run allocates the output anew, in whatever shape it has.
   */
  bindOutput(name: string, target: Tensor | string): void;
  /** Binds the value that the last run left in an output as an input of the next, without leaving its device. */
  feedBack(output: string, input: string): void;
  /** Resolves to the outputs: the bound tensors themselves, and copies of those bound to `cpu`; others stay on their device. */
  run(options?: BoundRunOptions): Promise<Record<string, Tensor>>;
  /** Waits for the run in flight, then frees everything. May be called twice. */
  release(): Promise<void>;
}

/**
 * A loaded model. Runs may overlap; each copies its outputs out of ONNX Runtime once, or not at all if preallocated. With
 * the C API each run in flight takes one thread of libuv's pool: set UV_THREADPOOL_SIZE to the runs of all sessions that
 * are to overlap plus those that files and DNS need (Node.js has 4 in all unless told otherwise).
 */
export interface Session {
  readonly inputs: readonly TensorInfo[];
  /** Outputs that are no tensors (sequences, maps) are left out. */
  readonly outputs: readonly TensorInfo[];
  /** Undefined in the worker-thread implementation, which cannot read it. */
  readonly metadata: ModelMetadata | undefined;
  /**
   * Feeds are read in place, not copied: leave their memory alone until the run has ended.
   * @throws ShoalError `inference_failed` (the inputs are wrong, or the model cannot process them) or `device_failed`.
   */
  run(feeds: Tensors, options?: RunOptions): Promise<Record<string, Tensor>>;
  bind(): IoBinding;
  /** Refuses new runs, waits for those in flight, releases bindings, then frees the session. May be called twice. */
  release(): Promise<void>;
}

export interface Runtime {
  /** The version of ONNX Runtime. */
  readonly version: string;
  readonly kind: 'c-api' | 'worker-thread';
  /** The devices whose execution provider is installed, as `SessionOptions.device` names them. */
  readonly providers: readonly string[];
  /**
   * Loads a model from its file (external data is found beside it) or its bytes, to be left alone until it is loaded.
   * @throws ShoalError `model_invalid`, `device_unavailable` or `device_failed`.
   */
  createSession(model: string | Uint8Array, options?: SessionOptions): Promise<Session>;
}
