/** Where onnxruntime-node keeps the shared libraries of this platform: ONNX Runtime and, if fetched, execution providers. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Device } from './device-names.js';

/** Execution providers that are libraries of their own; the others are part of ONNX Runtime. */
const PROVIDER_LIBRARIES: Partial<Record<Device['kind'], string>> = {
  cuda: 'onnxruntime_providers_cuda',
  tensorrt: 'onnxruntime_providers_tensorrt',
};

/** @throws Error when onnxruntime-node is not installed. */
export function libraryFolder(): string {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  return join(root, 'bin', 'napi-v6', process.platform, process.arch);
}

/** Whether the library that a device needs beside ONNX Runtime itself, if any, has been fetched. */
export function hasProviderLibrary(kind: Device['kind']): boolean {
  const name = PROVIDER_LIBRARIES[kind];
  if (name === undefined) return true;
  return existsSync(join(libraryFolder(), process.platform === 'win32' ? `${name}.dll` : `lib${name}.so`));
}
