/** ONNX Runtime through its C API. */
import type { Runtime } from '../types.js';
import { decodeApi } from './api.js';
import { installedDevices } from './devices.js';
import { openLibrary, PINNED_VERSION } from './library.js';
import { loadSession } from './session.js';

/** Errors are returned as statuses; logging them as well would put them on stderr. */
const LOG_FATAL_ONLY = 4;
const ARENA_ALLOCATOR = 1;
const DEFAULT_MEMORY = 0;

/** @throws Error when koffi or the library cannot be loaded, or the library is of another version. */
export function openCApi(): Runtime {
  const api = decodeApi(openLibrary());
  // One environment per process, never released: ONNX Runtime shares it between all that ask for one.
  const env = api.get('CreateEnv', LOG_FATAL_ONLY, 'shoal');
  // Windows reports through the system's event tracing, which the environment variable does not stop.
  api.call('DisableTelemetryEvents', env);
  const allocator = api.get('GetAllocatorWithDefaultOptions');
  const cpu = api.get('CreateCpuMemoryInfo', ARENA_ALLOCATOR, DEFAULT_MEMORY);
  const native = { api, env, allocator, cpu };
  const providers = installedDevices(api);
  return {
    version: PINNED_VERSION,
    kind: 'c-api',
    providers,
    createSession: (model, options = {}) => loadSession(native, model, options, providers),
  };
}
