/** The names of devices: `cpu`, `cuda[:N]`, `tensorrt[:N]`, `webgpu`, `coreml`, `directml`. */
import { ShoalError } from '@shoal/contracts';

export interface Device {
  readonly kind: 'cpu' | 'cuda' | 'tensorrt' | 'webgpu' | 'coreml' | 'directml';
  readonly index: number;
}

const PATTERN = /^(?:(?<plain>cpu|webgpu|coreml|directml)|(?<numbered>cuda|tensorrt)(?::(?<index>\d{1,2}))?)$/;

/**
 * @param installed the devices whose execution provider is there.
 * @throws ShoalError `device_unavailable`, which says which are and how to get the rest.
 */
export function parseDevice(name: string, installed: readonly Device['kind'][]): Device {
  const { plain, numbered, index } = PATTERN.exec(name)?.groups ?? {};
  const kind = (plain ?? numbered) as Device['kind'] | undefined;
  if (kind !== undefined && installed.includes(kind)) return { kind, index: Number(index ?? 0) };
  const there = `the devices here are ${installed.join(', ')}`;
  if (kind === undefined) throw new ShoalError('device_unavailable', `Device "${name}" is unknown; ${there}`);
  const remedy =
    numbered === undefined
      ? ''
      : '. onnxruntime-node fetches the libraries for NVIDIA GPUs when it is built: npm rebuild onnxruntime-node --ignore-scripts=false';
  throw new ShoalError('device_unavailable', `Device "${name}" is not there; ${there}${remedy}`);
}

/** @throws ShoalError `device_unavailable` where options are given that nothing would read */
export function checkDeviceOptions({ kind }: Device, options: Readonly<Record<string, string>>): void {
  const names = Object.keys(options);
  if (kind !== 'cpu' || names.length === 0) return;
  throw new ShoalError('device_unavailable', `Device "cpu" takes no options; ${names.join(', ')} must be left out`);
}
