import { describe, expect, it } from 'vitest';
import { BATCH_OVERHEAD_MS, type CalibrateOptions, calibrate, type PassCost } from './calibrate.js';

type Pass = CalibrateOptions['pass'];

/** A device whose pass takes `fixed` ms and then `perToken` ms, dearer by half beyond `cache` tokens. */
function work(fixed: number, perToken: number, cache = Number.POSITIVE_INFINITY) {
  return (size: number, length: number) => {
    const tokens = size * length;
    return fixed + perToken * tokens * (tokens > cache ? 1.5 : 1);
  };
}

const quiet =
  (workMs: ReturnType<typeof work>): Pass =>
  async (size, length) => {
    const ms = workMs(size, length);
    return { elapsedMs: ms, workMs: ms };
  };

/** The same numbers for the same seed, 0 to 1. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

const shape = { maxBatchSize: 64, maxLength: 128, budgetMs: 5000 };

describe('calibrate', () => {
  it('asks for large batches where a pass has a high fixed cost', async () => {
    const gpu = await calibrate({ ...shape, maxBatchSize: 256, pass: quiet(work(5, 0.0005)) });
    const cpu = await calibrate({ ...shape, maxBatchSize: 256, pass: quiet(work(0.2, 0.1)) });
    expect(gpu.maxBatchTokens).toBeGreaterThan(8 * cpu.maxBatchTokens);
    expect(gpu.passTokens).toBeGreaterThan(cpu.passTokens);
  });

  it('stays below the size from which on a token becomes dearer', async () => {
    const { maxBatchTokens } = await calibrate({ ...shape, pass: quiet(work(1, 0.05, 1024)) });
    expect(maxBatchTokens).toBeLessThanOrEqual(1024);
  });

  it('is not misled by first passes that compile kernels', async () => {
    const seen = new Set<string>();
    const warm = work(5, 0.0005);
    const pass: Pass = async (size, length) => {
      const shapeName = `${size} ${length}`;
      const ms = warm(size, length) + (seen.has(shapeName) ? 0 : 300);
      seen.add(shapeName);
      return { elapsedMs: ms, workMs: ms };
    };
    const budgetMs = 60_000;
    const { maxBatchTokens } = await calibrate({ ...shape, budgetMs, pass: quiet(warm) });
    expect((await calibrate({ ...shape, budgetMs, pass })).maxBatchTokens).toBe(maxBatchTokens);
  });

  it('always lets the longest input in', async () => {
    const { maxBatchTokens } = await calibrate({ ...shape, maxLength: 8192, pass: quiet(work(0, 1)) });
    expect(maxBatchTokens).toBe(8192);
  });

  it('stops as soon as rounds agree, and says that they do', async () => {
    expect(await calibrate({ ...shape, pass: quiet(work(0.2, 0.1)) })).toMatchObject({ rounds: 3, spread: 0 });
  });

  it('begins no pass once its time is spent', async () => {
    let passes = 0;
    const slow = async (): Promise<PassCost> => {
      passes++;
      return { elapsedMs: 10, workMs: 10 };
    };
    const { rounds, spread } = await calibrate({ ...shape, budgetMs: 10, pass: slow });
    // One to warm up, one that spends it.
    expect({ passes, rounds, spread }).toEqual({ passes: 2, rounds: 1, spread: 1 });
  });

  it.each([
    ['other programs take turns with it', (random: () => number) => (random() < 0.4 ? 1 + random() : 1)],
    ['its clock wanders', (random: () => number) => 1 + 0.25 * random()],
    [
      'a neighbour takes the caches away for seconds',
      (random: () => number, n: number) => (n % 60 < 30 ? 1.4 : 1 + 0.02 * random()),
    ],
  ])('where %s it comes within 3 %% of the best limit in 10 of 10 starts', async (_, disturbance) => {
    const device = work(2, 0.075, 600);
    const limits = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192];
    // As rated by calibrate.ts, without the disturbance.
    const rateOf = (limit: number) => {
      const ms = [16, 128].map((length) => {
        const size = Math.min(64, Math.max(1, Math.floor(limit / length)));
        return (device(size, length) + BATCH_OVERHEAD_MS) / (size * length);
      });
      return 1 / ms.reduce((sum, each) => sum + each);
    };
    const best = Math.max(...limits.map(rateOf));
    for (let start = 1; start <= 10; start++) {
      const random = seeded(start);
      let n = 0;
      const pass: Pass = async (size, length) => {
        const workMs = device(size, length) * disturbance(random, n++);
        return { elapsedMs: workMs * (1 + random()), workMs };
      };
      const { maxBatchTokens } = await calibrate({ ...shape, pass });
      expect(rateOf(maxBatchTokens)).toBeGreaterThan(0.97 * best);
    }
  });
});
