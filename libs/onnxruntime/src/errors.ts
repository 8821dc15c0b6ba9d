/** Statuses of ONNX Runtime as errors of Shoal. */
import { type ErrorCode, ShoalError } from '@shoal/contracts';

/** A status other than OK. `code` is an `OrtErrorCode` of onnxruntime_c_api.h. */
export class OrtError extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
    this.name = 'OrtError';
  }
}

const ENGINE_ERROR = 5;
const EP_FAIL = 11;
const OUT_OF_MEMORY = /failed to allocate memory|out of memory|bad.alloc/i;
/** What execution providers say when their driver or hardware is not there. */
const NO_DEVICE =
  /no (CUDA-capable|supported) (device|adapter)|CUDA driver version|failed to (get|request) (a |an )?(WebGPU )?adapter|no adapter/i;

/** The error of a model that did not load; whatever is not the device's fault is the model's. */
export function loadError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof ShoalError) return error;
  if (NO_DEVICE.test(error.message)) return shoalError('device_unavailable', error);
  return shoalError(isDeviceFailure(error) ? 'device_failed' : 'model_invalid', error);
}

/** The error of a run that failed; the reason of a signal stays what it is. */
export function runError(error: unknown, signal?: AbortSignal): unknown {
  if (signal?.aborted && error === signal.reason) return error;
  if (!(error instanceof Error) || error instanceof ShoalError) return error;
  return shoalError(isDeviceFailure(error) ? 'device_failed' : 'inference_failed', error);
}

function isDeviceFailure(error: Error): boolean {
  const code = error instanceof OrtError ? error.code : undefined;
  return code === ENGINE_ERROR || code === EP_FAIL || OUT_OF_MEMORY.test(error.message);
}

function shoalError(code: ErrorCode, cause: Error): ShoalError {
  return new ShoalError(code, cause.message.trim(), { cause });
}
