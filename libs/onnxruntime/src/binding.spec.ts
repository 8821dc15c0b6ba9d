import { expect, it } from 'vitest';
import { tensorInfo, writeModel } from './onnx-writer.js';
import { doubling, floats, powers, zeros } from './testing/graphs.js';
import { describeRuntimes, rejection } from './testing/runtimes.js';
import type { IoBinding, Tensor } from './types.js';

/** total = state + x */
const RUNNING_SUM = writeModel({
  inputs: [tensorInfo('state', 'float32', 'n'), tensorInfo('x', 'float32', 'n')],
  outputs: [tensorInfo('total', 'float32', 'n')],
  nodes: [{ op: 'Add', inputs: ['state', 'x'], outputs: ['total'] }],
});

describeRuntimes('binding', ({ load }, kind) => {
  it('reads bound inputs anew and overwrites bound outputs in place, run after run', async () => {
    const binding = (await load(doubling())).bind();
    const [x, z] = [floats(1, 2), floats(0, 0)];
    binding.bindInput('x', x);
    binding.bindOutput('z', z);
    for (let i = 0; i < 50; i++) {
      (x.data as Float32Array).fill(i);
      const results = await binding.run();
      expect(results.z).toBe(z);
      expect(results).toEqual({ z: floats(4 * i, 4 * i) });
    }
    await binding.release();
  });

  it('answers alike when it takes the calling thread, and keeps it with the C API', async () => {
    const binding = (await load(doubling())).bind();
    const x = floats(1, 2);
    binding.bindInput('x', x);
    binding.bindOutput('y', floats(0, 0));
    let turned = false;
    setImmediate(() => {
      turned = true;
    });
    for (const value of [3, 4]) {
      (x.data as Float32Array).fill(value);
      expect(await binding.run({ blocking: true })).toEqual({ y: floats(2 * value, 2 * value) });
    }
    expect(turned).toBe(kind === 'worker-thread');
    const reason = new Error('enough');
    await expect(binding.run({ blocking: true, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await binding.release();
  });

  it('reads and writes the same memory where an input and an output share it', async () => {
    const binding = (await load(RUNNING_SUM)).bind();
    const state = floats(0, 10);
    binding.bindInput('state', state);
    binding.bindInput('x', floats(1, 2));
    binding.bindOutput('total', state);
    for (let i = 0; i < 3; i++) await binding.run();
    expect(state).toEqual(floats(3, 16));
  });

  it('allocates outputs bound to a device in whatever shape they have', async () => {
    const binding = (await load(doubling())).bind();
    binding.bindOutput('y', 'cpu');
    for (const x of [floats(1, 2), floats(3), floats(4, 5, 6)]) {
      binding.bindInput('x', x);
      const { y } = await binding.run();
      expect(y).toEqual(floats(...Array.from(x.data as Float32Array, (value) => 2 * value)));
    }
  });

  it('feeds an output back as an input without touching what was read before', async () => {
    const binding = (await load(RUNNING_SUM)).bind();
    binding.bindInput('state', floats(0));
    binding.bindInput('x', floats(2));
    binding.bindOutput('total', 'cpu');
    const totals: (Tensor | undefined)[] = [];
    for (let i = 0; i < 4; i++) {
      totals.push((await binding.run()).total);
      binding.feedBack('total', 'state');
    }
    expect(totals).toEqual([floats(2), floats(4), floats(6), floats(8)]);
  });

  it('may be bound anew between runs', async () => {
    const binding = (await load(doubling())).bind();
    const [first, second] = [floats(0), floats(0, 0)];
    binding.bindInput('x', floats(1));
    binding.bindOutput('y', first);
    await binding.run();
    binding.bindInput('x', floats(2, 3));
    binding.bindOutput('y', second);
    await binding.run();
    expect([first, second]).toEqual([floats(2), floats(4, 6)]);
  });

  it.each<[string, (binding: IoBinding) => void, string]>([
    ['an unknown input', (binding) => binding.bindInput('w', floats(1)), 'input "w" is unknown'],
    ['an unknown output', (binding) => binding.bindOutput('w', 'cpu'), 'output "w" is unknown'],
    [
      'a wrong type',
      (binding) => binding.bindInput('x', { ...zeros(1), type: 'int32' }),
      'expected float32[n], got int32',
    ],
    ['an output not bound', (binding) => binding.feedBack('y', 'x'), 'Output "y" has not been computed'],
    ['a device that is not there', (binding) => binding.bindOutput('y', 'cuda:3'), 'cuda:3'],
  ])('refuses %s', async (_, act, message) => {
    const binding = (await load(doubling())).bind();
    expect(() => act(binding)).toThrow(message);
  });

  it('feeds no output back that no run has written since it was bound', async () => {
    const binding = (await load(doubling())).bind();
    binding.bindInput('x', floats(1));
    binding.bindOutput('y', 'cpu');
    expect(() => binding.feedBack('y', 'x')).toThrow('has not been computed');
    await binding.run();
    binding.bindOutput('y', 'cpu');
    expect(() => binding.feedBack('y', 'x')).toThrow('has not been computed');
  });

  it('names an input that is not bound', async () => {
    const binding = (await load(RUNNING_SUM)).bind();
    binding.bindInput('x', floats(1));
    binding.bindOutput('total', 'cpu');
    const error = await rejection(binding.run());
    expect(error).toMatchObject({
      code: 'inference_failed',
      message: expect.stringContaining('input "state" is missing'),
    });
  });

  it('runs once at a time and is not changed meanwhile', async () => {
    const binding = (await load(powers(20))).bind();
    binding.bindInput('x', zeros(128));
    binding.bindOutput('y', 'cpu');
    const run = binding.run();
    expect(await rejection(binding.run())).toMatchObject({ code: 'inference_failed' });
    expect(() => binding.bindInput('x', zeros(1))).toThrow('running');
    expect((await run).y?.dims).toEqual([128, 128]);
  });

  it('can be aborted and run again', async () => {
    const binding = (await load(doubling())).bind();
    binding.bindInput('x', floats(1));
    binding.bindOutput('y', 'cpu');
    const reason = new Error('no longer wanted');
    expect(await rejection(binding.run({ signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect((await binding.run()).y).toEqual(floats(2));
  });

  it('is released with its session, and may be released before', async () => {
    const session = await load(doubling());
    const [early, late] = [session.bind(), session.bind()];
    await early.release();
    await session.release();
    expect(() => early.bindInput('x', floats(1))).toThrow('released');
    expect(await rejection(late.run())).toBeDefined();
  });
});
