import { expect, it } from 'vitest';
import { FUNCTION_NAMES } from './function-names.js';

/** The places that ONNX Runtime's own source asserts (onnxruntime_c_api.cc), one per version of the API. */
it.each([
  ['ReleaseCustomOpDomain', 101],
  ['ReleaseModelMetadata', 118],
  ['AddFreeDimensionOverrideByName', 124],
  ['ReleaseAvailableProviders', 126],
  ['SetGlobalSpinControl', 149],
  ['ReleaseArenaCfg', 157],
  ['GetCurrentGpuDeviceId', 161],
  ['CreateSessionFromArrayWithPrepackedWeightsContainer', 169],
  ['ReleaseTensorRTProviderOptions', 174],
  ['GetSparseTensorIndices', 191],
  ['SynchronizeBoundOutputs', 203],
  ['SessionOptionsAppendExecutionProvider_MIGraphX', 209],
  ['SessionOptionsAppendExecutionProvider', 216],
])('%s is function %i', (name, index) => {
  expect(FUNCTION_NAMES.indexOf(name)).toBe(index);
});
