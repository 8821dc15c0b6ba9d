/** The shared library of ONNX Runtime that onnxruntime-node ships, found and opened. */
import { join } from 'node:path';
import koffi, { type LibraryHandle } from 'koffi';
import { libraryFolder } from '../library-folder.js';
import { disableTelemetry } from '../telemetry.js';

/** The version this code is written against; the function table is checked for it alone. */
export const PINNED_VERSION = '1.30.0';
const API_VERSION = 30;

const FILES: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'libonnxruntime.so.1',
  darwin: 'libonnxruntime.1.dylib',
  win32: 'onnxruntime.dll',
};

/**
 * Of an asynchronous call, as a thread of Linux has it; memory is taken as far as it is used. koffi's own 128 KiB are too
 * small for branches within branches and for the shader compilers behind WebGPU: the process ended with SIGSEGV.
 */
const STACK_BYTES = 8 * 1024 * 1024;

/** koffi unmaps a library once its handle is garbage, whatever functions were decoded from it; this keeps it for good. */
let held: LibraryHandle | undefined;

/**
 * The address of the `OrtApi` structure.
 * @throws Error when there is no library for this platform, it cannot be opened, or it is of another version.
 */
export function openLibrary(): bigint {
  const file = FILES[process.platform];
  if (file === undefined) throw new Error(`onnxruntime-node has no library for ${process.platform}`);
  disableTelemetry();
  // Refused once a library has been loaded.
  if (koffi.config().async_stack_size !== STACK_BYTES) koffi.config({ async_stack_size: STACK_BYTES });
  held ??= koffi.load(join(libraryFolder(), file));
  const base: bigint = held.func('OrtGetApiBase', 'void *', [])();
  const [getApi, getVersion] = koffi.decode(base, 'void *', 2);
  const version: string = koffi.decode(getVersion, koffi.proto('const char *', []))();
  if (version !== PINNED_VERSION) throw new Error(`ONNX Runtime ${PINNED_VERSION} is needed, found ${version}`);
  const api: bigint | null = koffi.decode(getApi, koffi.proto('void *', ['uint32_t']))(API_VERSION);
  if (api === null) throw new Error(`ONNX Runtime ${version} lacks version ${API_VERSION} of its C API`);
  return api;
}
