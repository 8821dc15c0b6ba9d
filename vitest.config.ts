import { randomInt } from 'node:crypto';
import { defineConfig } from 'vitest/config';

/**
 * How soon something is there says how busy the machine is, and is nothing that a test is about: these limits only end what
 * hangs. (On a quiet machine the longest test takes a fifth of them.)
 */
const shared = { environment: 'node', pool: 'forks', expect: { poll: { timeout: 180_000 } } } as const;
const LIMITS = { testTimeout: 600_000, hookTimeout: 600_000 } as const;

/**
 * Tests of files and answers with mutations make 500 of them, other ones in each run; their names tell the seed. As many as
 * they have: SHOAL_TEST_MUTATIONS=10000 npm run test:unit. Those of another run: SHOAL_TEST_SEED=<its seed>.
 */
const { SHOAL_TEST_MUTATIONS = '500', SHOAL_TEST_SEED = String(randomInt(2 ** 31)) } = process.env;
const mutations = { most: Number(SHOAL_TEST_MUTATIONS), seed: Number(SHOAL_TEST_SEED) };

/** Specs run against the built packages (`npm test` builds first), so every import resolves to one copy of each lib. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...shared,
          testTimeout: 120_000,
          name: 'unit',
          provide: { mutations },
          include: ['{libs,apps}/*/src/**/*.spec.ts', 'test/unit/**/*.spec.ts'],
        },
      },
      {
        test: {
          ...shared,
          name: 'integration',
          include: ['test/integration/**/*.spec.ts'],
          globalSetup: ['test/support/redis.setup.ts'],
          ...LIMITS,
        },
      },
      {
        test: {
          ...shared,
          name: 'e2e',
          include: ['test/e2e/**/*.spec.ts'],
          globalSetup: ['test/support/redis.setup.ts'],
          ...LIMITS,
        },
      },
      {
        // Run by tools/containers.mjs, which sees to a container engine. One at a time: they share the machine.
        test: {
          ...shared,
          name: 'containers',
          include: ['test/containers/**/*.spec.ts'],
          globalSetup: ['test/containers/images.setup.ts'],
          fileParallelism: false,
          ...LIMITS,
        },
      },
      {
        // Run by tools/models.mjs. One at a time: models of hundreds of megabytes.
        test: {
          ...shared,
          name: 'models',
          include: ['test/models/**/*.spec.ts'],
          fileParallelism: false,
          ...LIMITS,
        },
      },
      {
        // Run by tools/faults.mjs. One at a time: each loads the machine and measures how soon it recovers.
        test: {
          ...shared,
          name: 'faults',
          include: ['test/faults/**/*.spec.ts'],
          fileParallelism: false,
          testTimeout: 3_600_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
