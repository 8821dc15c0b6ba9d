/**
 * The functions of ONNX Runtime's C API that Shoal calls, with their parameters. Every status is turned into an `OrtError`
 * here and nowhere else, so none leaks.
 */
import koffi from 'koffi';
import { OrtError } from '../errors.js';
import { FUNCTION_NAMES } from './function-names.js';
import { addressOf } from './memory.js';
import { type Argument, CallPool, type NativeFunction } from './pool.js';

const ptr = 'void *';
const text = 'const char *';
const path = process.platform === 'win32' ? 'const char16_t *' : text;
const int = 'int';
const size = 'size_t';

/** Parameters of the functions that return a status. Out-parameters are pointers and come last. */
const STATUS_FUNCTIONS = {
  CreateEnv: [int, text, ptr],
  DisableTelemetryEvents: [ptr],
  GetAllocatorWithDefaultOptions: [ptr],
  AllocatorFree: [ptr, ptr],
  CreateCpuMemoryInfo: [int, int, ptr],
  CreateMemoryInfo: [text, int, int, int, ptr],
  GetAvailableProviders: [ptr, ptr],
  ReleaseAvailableProviders: [ptr, int],

  CreateSessionOptions: [ptr],
  SetSessionExecutionMode: [ptr, int],
  EnableMemPattern: [ptr],
  DisableMemPattern: [ptr],
  EnableCpuMemArena: [ptr],
  DisableCpuMemArena: [ptr],
  SetSessionGraphOptimizationLevel: [ptr, int],
  SetIntraOpNumThreads: [ptr, int],
  SetInterOpNumThreads: [ptr, int],
  AddSessionConfigEntry: [ptr, text, text],
  SessionOptionsAppendExecutionProvider: [ptr, text, ptr, ptr, size],
  CreateCUDAProviderOptions: [ptr],
  UpdateCUDAProviderOptions: [ptr, ptr, ptr, size],
  SessionOptionsAppendExecutionProvider_CUDA_V2: [ptr, ptr],
  CreateTensorRTProviderOptions: [ptr],
  UpdateTensorRTProviderOptions: [ptr, ptr, ptr, size],
  SessionOptionsAppendExecutionProvider_TensorRT_V2: [ptr, ptr],

  CreateSession: [ptr, path, ptr, ptr],
  CreateSessionFromArray: [ptr, ptr, size, ptr, ptr],
  SessionGetInputCount: [ptr, ptr],
  SessionGetOutputCount: [ptr, ptr],
  SessionGetInputName: [ptr, size, ptr, ptr],
  SessionGetOutputName: [ptr, size, ptr, ptr],
  SessionGetInputTypeInfo: [ptr, size, ptr],
  SessionGetOutputTypeInfo: [ptr, size, ptr],
  CastTypeInfoToTensorInfo: [ptr, ptr],
  GetTensorElementType: [ptr, ptr],
  GetDimensionsCount: [ptr, ptr],
  GetDimensions: [ptr, ptr, size],
  GetSymbolicDimensions: [ptr, ptr, size],
  SessionGetModelMetadata: [ptr, ptr],
  ModelMetadataGetProducerName: [ptr, ptr, ptr],
  ModelMetadataGetGraphName: [ptr, ptr, ptr],
  ModelMetadataGetDescription: [ptr, ptr, ptr],
  ModelMetadataGetCustomMetadataMapKeys: [ptr, ptr, ptr, ptr],
  ModelMetadataLookupCustomMetadataMap: [ptr, ptr, text, ptr],

  CreateTensorAsOrtValue: [ptr, ptr, size, int, ptr],
  CreateTensorWithDataAsOrtValue: [ptr, ptr, size, ptr, size, int, ptr],
  FillStringTensor: [ptr, ptr, size],
  GetStringTensorDataLength: [ptr, ptr],
  GetStringTensorContent: [ptr, ptr, size, ptr, size],
  GetTensorMutableData: [ptr, ptr],
  GetTensorTypeAndShape: [ptr, ptr],

  CreateRunOptions: [ptr],
  RunOptionsSetTerminate: [ptr],
  Run: [ptr, ptr, ptr, ptr, size, ptr, size, ptr],
  CreateIoBinding: [ptr, ptr],
  BindInput: [ptr, text, ptr],
  BindOutput: [ptr, text, ptr],
  BindOutputToDevice: [ptr, text, ptr],
  GetBoundOutputValues: [ptr, ptr, ptr, ptr],
  RunWithBinding: [ptr, ptr, ptr],
} as const;

const RELEASE_FUNCTIONS = [
  'Status',
  'SessionOptions',
  'CUDAProviderOptions',
  'TensorRTProviderOptions',
  'Session',
  'TypeInfo',
  'TensorTypeAndShapeInfo',
  'ModelMetadata',
  'MemoryInfo',
  'Value',
  'RunOptions',
  'IoBinding',
] as const;

export type StatusFunction = keyof typeof STATUS_FUNCTIONS;
export type Releasable = (typeof RELEASE_FUNCTIONS)[number];
/** Pointers are bigints, 0n is null. An array given as an argument is used during a synchronous call only. */
export interface OrtApi {
  /** @throws OrtError */
  call(name: StatusFunction, ...args: Argument[]): void;
  /** Adds the out-parameter and returns what was written to it: a pointer or an integer. @throws OrtError */
  get(name: StatusFunction, ...args: Argument[]): bigint;
  /** Runs on a thread of libuv's pool. Pointers must stay valid until it settles. Rejects with an OrtError. */
  callAsync(name: StatusFunction, ...args: Argument[]): Promise<void>;
  /** Frees what a `Create...` or `Get...` function returned; null pointers are ignored. */
  release(kind: Releasable, pointer: bigint): void;
  releaseAsync(kind: Releasable, pointer: bigint): Promise<void>;
}

export function decodeApi(table: bigint): OrtApi {
  const pointers: bigint[] = koffi.decode(table, ptr, FUNCTION_NAMES.length);
  const bind = (name: string, result: string, parameters: readonly string[]): NativeFunction => {
    const index = FUNCTION_NAMES.indexOf(name);
    if (index < 0) throw new Error(`${name} is no function of OrtApi`);
    return koffi.decode(pointers[index], koffi.proto(result, [...parameters])) as NativeFunction;
  };
  const functions = new Map<string, NativeFunction>();
  for (const [name, parameters] of Object.entries(STATUS_FUNCTIONS)) functions.set(name, bind(name, ptr, parameters));
  const releases = new Map(RELEASE_FUNCTIONS.map((kind) => [kind, bind(`Release${kind}`, 'void', [ptr])]));
  const errorCode = bind('GetErrorCode', int, [ptr]) as unknown as (status: bigint) => number;
  const errorMessage = bind('GetErrorMessage', text, [ptr]) as unknown as (status: bigint) => string;

  const pool = new CallPool();
  const out = new BigUint64Array(new ArrayBuffer(8));
  const outAddress = addressOf(out);

  function check(status: bigint | null): void {
    if (status === null) return;
    const error = new OrtError(errorCode(status), errorMessage(status));
    releases.get('Status')!(status);
    throw error;
  }

  return {
    call(name, ...args) {
      check(functions.get(name)!(...args));
    },
    get(name, ...args) {
      out[0] = 0n;
      check(functions.get(name)!(...args, outAddress));
      return out[0];
    },
    async callAsync(name, ...args) {
      check(await pool.call(functions.get(name)!, args));
    },
    release(kind, pointer) {
      if (pointer !== 0n) releases.get(kind)!(pointer);
    },
    async releaseAsync(kind, pointer) {
      if (pointer !== 0n) await pool.call(releases.get(kind)!, [pointer]);
    },
  };
}
