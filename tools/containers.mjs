// @ts-check
/**
 * `npm run test:containers`: the integration tests on a Redis in a container, then Shoal's own images and docker-compose.yml
 * end to end. Uses the container engine that answers, else starts one; removes all it made; closes with `N passed, N failed`.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from './arguments.mjs';
import { openEngine } from './engine.mjs';
import { findImages } from './engine-images.mjs';
import { ensureRedisServer } from './redis-install.mjs';
import { ROOT } from './root.mjs';
import { runNode } from './run-node.mjs';
import { build, checkNode, ensureInstalled } from './setup.mjs';
import { Tally } from './tally.mjs';
import { runCommand, UserError } from './user-error.mjs';
import { readCounts } from './vitest-counts.mjs';

/** What runs of which project: of the integration tests those whose Redis is the one in the container. */
const PARTS = [
  { project: 'integration', files: ['test/integration/queue.', 'test/integration/webhooks.'] },
  { project: 'containers', files: [] },
];

/**
 * @param {string} project
 * @param {string[]} files parts of their paths; all of the project where left out
 * @param {Record<string, string>} env
 */
async function vitest(project, files, env) {
  const report = join(ROOT, `.shoal/test/containers-${project}.json`);
  rmSync(report, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--project', project, ...reporters, ...files];
  const code = await runNode(args, env);
  return readCounts(report, code);
}

const HELP = `Runs the integration tests on a Redis in a container, then Shoal's images and docker-compose.yml end to end.

npm run test:containers

Where no container engine answers, one is installed (Debian's docker.io, by apt-get) and run for as long as it is needed;
what it made is removed.`;

await runCommand(async () => {
  if (readArguments(HELP, {}) === null) return 0;
  checkNode();
  await ensureInstalled();
  const { code, output } = await build();
  if (code !== 0) throw new UserError(`the build failed:\n${output.trimEnd()}`);
  // Tests that crash or limit their Redis start one of their own, outside of containers.
  ensureRedisServer(console.log);
  // Ctrl-C reaches what runs below as well; what runs here goes on to close the engine.
  process.on('SIGINT', () => {});
  const engine = await openEngine(console.log);
  const tally = new Tally();
  try {
    const images = findImages(engine.env, console.log);
    const env = {
      ...engine.env,
      // Its image is not to be had everywhere; what the tests start, they remove.
      TESTCONTAINERS_RYUK_DISABLED: 'true',
      SHOAL_TEST_REDIS_IMAGE: images.redis,
      SHOAL_TEST_PROXY_IMAGE: images.proxy,
      SHOAL_TEST_NODE_IMAGE: images.node,
    };
    for (const { project, files } of PARTS) {
      console.log(`\n── ${project}`);
      tally.add(await vitest(project, files, env));
    }
  } finally {
    await engine.close();
  }
  return tally.print();
});
