import { expect, it } from 'vitest';
import { doubling } from './testing/graphs.js';
import { describeRuntimes, rejection } from './testing/runtimes.js';

describeRuntimes('devices', (subject, kind) => {
  it('the CPU is always there, for all options', async () => {
    expect(subject.runtime.providers).toContain('cpu');
    const session = await subject.load(doubling(), {
      device: 'cpu',
      intraOpThreads: 2,
      interOpThreads: 2,
      graphOptimization: 'none',
      spinning: true,
      memoryPattern: true,
      cpuArena: false,
      config: { 'session.set_denormal_as_zero': '1' },
    });
    const x = { type: 'float32', dims: [1], data: Float32Array.of(2) } as const;
    expect((await session.run({ x })).z?.data).toEqual(Float32Array.of(8));
  });

  it.each(['cuda', 'cuda:1', 'tensorrt:0'])(
    '%s, when not there, is named with those that are and a remedy',
    async (device) => {
      if (subject.runtime.providers.includes('cuda')) return;
      const error = await rejection(subject.load(doubling(), { device }));
      expect(error).toMatchObject({
        code: 'device_unavailable',
        message: expect.stringContaining(`Device "${device}"`),
      });
      expect(error).toMatchObject({ message: expect.stringContaining(subject.runtime.providers.join(', ')) });
      expect(error).toMatchObject({ message: expect.stringContaining('npm rebuild onnxruntime-node') });
    },
  );

  it.each(['tpu', 'cpu:0', 'cuda:', 'CUDA', ''])('"%s" is no device', async (device) => {
    expect(await rejection(subject.load(doubling(), { device }))).toMatchObject({ code: 'device_unavailable' });
  });

  it('the CPU refuses options, which it would not read', async () => {
    const error = await rejection(subject.load(doubling(), { deviceOptions: { use_tf32: '0' } }));
    expect(error).toMatchObject({ code: 'device_unavailable', message: expect.stringContaining('use_tf32') });
  });

  it.runIf(kind === 'c-api')('options reach the execution provider', async () => {
    if (!subject.runtime.providers.includes('webgpu')) return;
    const deviceOptions = { preferredLayout: 'sideways' };
    const error = await rejection(subject.load(doubling(), { device: 'webgpu', deviceOptions }));
    expect(error).toMatchObject({ code: 'device_unavailable', message: expect.stringContaining('sideways') });
  });
});
