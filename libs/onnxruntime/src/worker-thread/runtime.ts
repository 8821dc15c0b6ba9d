/** onnxruntime-node's own binding, one thread per session: where the C API cannot be called. */
import type { InferenceSession } from 'onnxruntime-node';
import { checkDeviceOptions, type Device, parseDevice } from '../device-names.js';
import { hasProviderLibrary } from '../library-folder.js';
import { disableTelemetry } from '../telemetry.js';
import type { Runtime, SessionOptions } from '../types.js';
import { loadInThread } from './session.js';

/** onnxruntime-node's names of devices. */
const BACKENDS: Record<Device['kind'], string> = {
  cpu: 'cpu',
  cuda: 'cuda',
  tensorrt: 'tensorrt',
  webgpu: 'webgpu',
  coreml: 'coreml',
  directml: 'dml',
};

const OPTIMIZATION = { none: 'disabled', basic: 'basic', extended: 'extended', all: 'all' } as const;
const LOG_FATAL_ONLY = 4;

/** @throws Error when onnxruntime-node cannot be loaded. */
export async function openWorkerThread(): Promise<Runtime> {
  disableTelemetry();
  const { env, listSupportedBackends } = await import('onnxruntime-node');
  const backends = listSupportedBackends().map(({ name }) => name);
  const kinds = Object.keys(BACKENDS) as Device['kind'][];
  const providers = kinds.filter((kind) => backends.includes(BACKENDS[kind]) && hasProviderLibrary(kind));
  return {
    version: env.versions.node ?? 'unknown',
    kind: 'worker-thread',
    providers,
    createSession: async (model, options = {}) =>
      loadInThread(options.device ?? 'cpu', { model, options: translate(options, providers) }),
  };
}

function translate(options: SessionOptions, providers: readonly Device['kind'][]): InferenceSession.SessionOptions {
  const device = parseDevice(options.device ?? 'cpu', providers);
  checkDeviceOptions(device, options.deviceOptions ?? {});
  const { kind, index } = device;
  const spinning = (options.spinning ?? false) ? '1' : '0';
  // WebGPU refuses options it does not know.
  const numbered = kind === 'cuda' || kind === 'tensorrt' ? { deviceId: index } : {};
  const provider = { name: BACKENDS[kind], ...numbered, ...options.deviceOptions };
  const interOpThreads = options.interOpThreads ?? 1;
  return {
    executionProviders: [provider],
    intraOpNumThreads: options.intraOpThreads ?? 1,
    interOpNumThreads: interOpThreads,
    executionMode: interOpThreads > 1 ? 'parallel' : 'sequential',
    graphOptimizationLevel: OPTIMIZATION[options.graphOptimization ?? 'all'],
    enableMemPattern: (options.memoryPattern ?? false) && kind !== 'directml',
    enableCpuMemArena: options.cpuArena ?? true,
    logSeverityLevel: LOG_FATAL_ONLY,
    extra: {
      'session.intra_op.allow_spinning': spinning,
      'session.inter_op.allow_spinning': spinning,
      ...options.config,
    },
  };
}
