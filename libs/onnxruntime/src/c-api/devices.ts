/** Devices by name, and how each is asked of ONNX Runtime. */
import { ShoalError } from '@shoal/contracts';
import { checkDeviceOptions, type Device, parseDevice } from '../device-names.js';
import { hasProviderLibrary } from '../library-folder.js';
import type { OrtApi } from './api.js';
import { NativeTexts, textAt, wordsAt } from './memory.js';

/** The name `GetAvailableProviders` gives, and the one by which options are appended where there is no function for it. */
const PROVIDERS: Record<Device['kind'], { listed: string; key?: string }> = {
  cpu: { listed: 'CPUExecutionProvider' },
  cuda: { listed: 'CUDAExecutionProvider' },
  tensorrt: { listed: 'TensorrtExecutionProvider' },
  webgpu: { listed: 'WebGpuExecutionProvider', key: 'WebGPU' },
  coreml: { listed: 'CoreMLExecutionProvider', key: 'CoreML' },
  directml: { listed: 'DmlExecutionProvider', key: 'DML' },
};

type Options = Readonly<Record<string, string>>;

/** The devices whose execution provider is compiled in and, where it is a library of its own, installed. */
export function installedDevices(api: OrtApi): Device['kind'][] {
  // `GetAvailableProviders(char*** out, int* length)`: both outs are written, so both are memory of ours.
  const out = new BigUint64Array(2);
  api.call('GetAvailableProviders', out.subarray(0, 1), out.subarray(1));
  const names = wordsAt(out[0]!, Number(out[1])).map(textAt);
  api.call('ReleaseAvailableProviders', out[0]!, Number(out[1]));
  const kinds = Object.keys(PROVIDERS) as Device['kind'][];
  return kinds.filter((kind) => names.includes(PROVIDERS[kind].listed) && hasProviderLibrary(kind));
}

/**
 * Makes sessions of `sessionOptions` run on a device. Nodes it cannot run fall to the CPU (those of TensorRT to CUDA first).
 * @throws ShoalError `device_unavailable`, naming the devices that are there.
 */
export function appendDevice(
  api: OrtApi,
  sessionOptions: bigint,
  name: string,
  options: Options,
  installed: readonly Device['kind'][],
): void {
  const device = parseDevice(name, installed);
  checkDeviceOptions(device, options);
  if (device.kind === 'cpu') return;
  try {
    if (device.kind === 'tensorrt') appendTensorRT(api, sessionOptions, { device_id: `${device.index}`, ...options });
    if (device.kind === 'tensorrt') appendCuda(api, sessionOptions, { device_id: `${device.index}` });
    else if (device.kind === 'cuda') appendCuda(api, sessionOptions, { device_id: `${device.index}`, ...options });
    else appendByName(api, sessionOptions, PROVIDERS[device.kind].key!, options);
  } catch (cause) {
    throw new ShoalError('device_unavailable', `Device "${name}" cannot be used: ${(cause as Error).message.trim()}`, {
      cause,
    });
  }
}

function appendByName(api: OrtApi, sessionOptions: bigint, key: string, options: Options): void {
  const { keys, values } = texts(options);
  const count = keys.pointers.length;
  api.call('SessionOptionsAppendExecutionProvider', sessionOptions, key, keys.pointers, values.pointers, count);
}

function appendCuda(api: OrtApi, sessionOptions: bigint, options: Options): void {
  const cuda = api.get('CreateCUDAProviderOptions');
  try {
    const { keys, values } = texts(options);
    api.call('UpdateCUDAProviderOptions', cuda, keys.pointers, values.pointers, keys.pointers.length);
    api.call('SessionOptionsAppendExecutionProvider_CUDA_V2', sessionOptions, cuda);
  } finally {
    api.release('CUDAProviderOptions', cuda);
  }
}

function appendTensorRT(api: OrtApi, sessionOptions: bigint, options: Options): void {
  const tensorrt = api.get('CreateTensorRTProviderOptions');
  try {
    const { keys, values } = texts(options);
    api.call('UpdateTensorRTProviderOptions', tensorrt, keys.pointers, values.pointers, keys.pointers.length);
    api.call('SessionOptionsAppendExecutionProvider_TensorRT_V2', sessionOptions, tensorrt);
  } finally {
    api.release('TensorRTProviderOptions', tensorrt);
  }
}

function texts(options: Options): { keys: NativeTexts; values: NativeTexts } {
  return { keys: new NativeTexts(Object.keys(options)), values: new NativeTexts(Object.values(options)) };
}
