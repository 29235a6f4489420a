import { defineConfig } from 'vitest/config';

// `#plugin` is src/plugin/index.ts under this condition and dist/ without it (package.json, imports).
const conditions = ['source', 'node'];

// Two files at a time, each with servers of its own: mostly they wait. What kills and freezes servers to the second is by itself.
const onServers = {
  pool: 'forks' as const,
  maxWorkers: 2,
  sequence: { groupOrder: 1 },
  globalSetup: ['test/support/servers-setup.ts'],
  setupFiles: ['test/support/leaks-setup.ts'],
};

/** The short form of the fault matrix; with SLUICE_CHAOS all files of it, and with SLUICE_CHAOS=full their long forms too (`npm run test:chaos`). */
const chaos = process.env.SLUICE_CHAOS
  ? ['test/chaos/matrix/**/*.test.ts']
  : ['sluice', 'two-daemons', 'postgres', 'nats'].map((name) => `test/chaos/matrix/${name}.test.ts`);

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    // The summary for people, and one for .ci/run where it asks for it.
    reporters: process.env.SLUICE_TEST_JSON ? ['default', 'json'] : ['default'],
    ...(process.env.SLUICE_TEST_JSON ? { outputFile: { json: process.env.SLUICE_TEST_JSON } } : {}),
    projects: [
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 20_000 } },
      { extends: true, test: { name: 'simulation', include: ['test/simulation/**/*.test.ts'], testTimeout: 60_000 } },
      {
        extends: true,
        test: { ...onServers, name: 'integration', include: ['test/integration/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 120_000 },
      },
      {
        extends: true,
        test: {
          ...onServers,
          name: 'chaos',
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
          include: chaos,
          testTimeout: process.env.SLUICE_CHAOS === 'full' ? 3_600_000 : 600_000,
          hookTimeout: 180_000,
        },
      },
      { extends: true, test: { ...onServers, name: 'e2e', include: ['test/e2e/**/*.test.ts'], testTimeout: 180_000, hookTimeout: 180_000 } },
    ],
  },
});
