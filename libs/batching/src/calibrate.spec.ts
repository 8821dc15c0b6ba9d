import { describe, expect, it } from 'vitest';
import { calibrate } from './calibrate.js';

/** A device whose pass takes `fixed` ms and then `perToken` ms, dearer by half beyond `cache` tokens. */
function device(fixed: number, perToken: number, cache = Number.POSITIVE_INFINITY) {
  return async (size: number, length: number) => {
    const tokens = size * length;
    return fixed + perToken * tokens * (tokens > cache ? 1.5 : 1);
  };
}

const shape = { maxBatchSize: 256, maxLength: 128, budgetMs: 1e9 };

describe('calibrate', () => {
  it('asks for large batches where a pass has a high fixed cost', async () => {
    const gpu = await calibrate({ ...shape, pass: device(5, 0.0005) });
    const cpu = await calibrate({ ...shape, pass: device(0.2, 0.1) });
    expect(gpu.maxBatchTokens).toBeGreaterThan(8 * cpu.maxBatchTokens);
    expect(gpu.passTokens).toBeGreaterThan(cpu.passTokens);
  });

  it('stays below the size from which on a token becomes dearer', async () => {
    const { maxBatchTokens } = await calibrate({ ...shape, pass: device(1, 0.05, 1024) });
    expect(maxBatchTokens).toBeLessThanOrEqual(1024);
  });

  it('always lets the longest input in', async () => {
    const { maxBatchTokens } = await calibrate({ ...shape, maxLength: 8192, pass: device(0, 1) });
    expect(maxBatchTokens).toBe(8192);
  });

  it('stops when its time is spent', async () => {
    let passes = 0;
    await calibrate({
      ...shape,
      budgetMs: 10,
      pass: async () => {
        passes++;
        return 10;
      },
    });
    expect(passes).toBe(7);
  });
});
