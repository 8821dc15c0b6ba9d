import { defineConfig } from 'vitest/config';

/** How soon something is there says how busy the machine is, and is nothing that a test is about. */
const shared = { environment: 'node', pool: 'forks', expect: { poll: { timeout: 30_000 } } } as const;

/** Specs run against the built packages (`npm test` builds first), so every import resolves to one copy of each lib. */
export default defineConfig({
  test: {
    projects: [
      { test: { ...shared, name: 'unit', include: ['{libs,apps}/*/src/**/*.spec.ts', 'test/unit/**/*.spec.ts'] } },
      {
        test: {
          ...shared,
          name: 'integration',
          include: ['test/integration/**/*.spec.ts'],
          globalSetup: ['test/support/redis.setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'e2e',
          include: ['test/e2e/**/*.spec.ts'],
          globalSetup: ['test/support/redis.setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
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
          testTimeout: 180_000,
          hookTimeout: 180_000,
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
