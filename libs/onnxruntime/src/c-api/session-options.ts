/** `SessionOptions` as an `OrtSessionOptions`. */
import type { Device } from '../device-names.js';
import type { SessionOptions } from '../types.js';
import type { OrtApi } from './api.js';
import { appendDevice } from './devices.js';

const OPTIMIZATION = { none: 0, basic: 1, extended: 2, all: 99 } as const;
const PARALLEL = 1;

/** The caller releases it. @throws ShoalError `device_unavailable`, OrtError when an option is refused. */
export function createSessionOptions(
  api: OrtApi,
  options: SessionOptions,
  installed: readonly Device['kind'][],
): bigint {
  const native = api.get('CreateSessionOptions');
  try {
    const device = options.device ?? 'cpu';
    appendDevice(api, native, device, options.deviceOptions ?? {}, installed);
    api.call('SetIntraOpNumThreads', native, options.intraOpThreads ?? 1);
    const interOpThreads = options.interOpThreads ?? 1;
    api.call('SetInterOpNumThreads', native, interOpThreads);
    if (interOpThreads > 1) api.call('SetSessionExecutionMode', native, PARALLEL);
    api.call('SetSessionGraphOptimizationLevel', native, OPTIMIZATION[options.graphOptimization ?? 'all']);
    // DirectML refuses sessions with memory patterns.
    const memoryPattern = (options.memoryPattern ?? false) && device !== 'directml';
    api.call(memoryPattern ? 'EnableMemPattern' : 'DisableMemPattern', native);
    api.call((options.cpuArena ?? true) ? 'EnableCpuMemArena' : 'DisableCpuMemArena', native);
    const spinning = (options.spinning ?? false) ? '1' : '0';
    const config = {
      'session.intra_op.allow_spinning': spinning,
      'session.inter_op.allow_spinning': spinning,
      ...options.config,
    };
    for (const [key, value] of Object.entries(config)) api.call('AddSessionConfigEntry', native, key, value);
    return native;
  } catch (error) {
    api.release('SessionOptions', native);
    throw error;
  }
}
