import { expect, it } from 'vitest';
import { hasProviderLibrary } from '../library-folder.js';
import { decodeApi } from './api.js';
import { appendDevice } from './devices.js';
import { openLibrary } from './library.js';

const api = decodeApi(openLibrary());
api.get('CreateEnv', 4, 'test');

it.runIf(!hasProviderLibrary('cuda')).each([
  ['cuda:1', { gpu_mem_limit: '1048576', do_copy_in_default_stream: '0' }],
  ['tensorrt', { trt_fp16_enable: '1' }],
] as const)('%s gets as far as loading its library', (device, options) => {
  const sessionOptions = api.get('CreateSessionOptions');
  const append = () => appendDevice(api, sessionOptions, device, options, ['cpu', 'cuda', 'tensorrt']);
  expect(append).toThrow(expect.objectContaining({ code: 'device_unavailable' }));
  expect(append).toThrow(`Device "${device}" cannot be used`);
  api.release('SessionOptions', sessionOptions);
});
