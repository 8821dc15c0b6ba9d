// @ts-check
/** `npm test`: sets everything up, runs every check, and closes with what failed and `N passed, N failed`. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from './arguments.mjs';
import { ensureRedisServer } from './redis-install.mjs';
import { ROOT } from './root.mjs';
import { runNode } from './run-node.mjs';
import { build, checkNode, ensureInstalled } from './setup.mjs';
import { Tally } from './tally.mjs';
import { runCommand } from './user-error.mjs';
import { readCounts } from './vitest-counts.mjs';

/** @typedef {import('./vitest-counts.mjs').Counts} Counts */

/** @type {[title: string, step: () => Promise<Counts>][]} */
const STEPS = [
  ['format and lint', () => check('format and lint', ['node_modules/@biomejs/biome/bin/biome', 'ci', '.'])],
  ['types', compile],
  ['unit tests and import rules', () => vitest('unit')],
  ['integration tests', () => vitest('integration')],
  ['end-to-end tests', () => vitest('e2e')],
];

async function compile() {
  const { code, output } = await build();
  if (code !== 0) console.log(output.trimEnd());
  return asCounts('types', code);
}

/**
 * @param {string} title
 * @param {string[]} command
 */
async function check(title, command) {
  return asCounts(title, await runNode(command));
}

/** @param {string} project */
async function vitest(project) {
  const report = join(ROOT, `.shoal/test/${project}.json`);
  rmSync(report, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const code = await runNode(['node_modules/vitest/vitest.mjs', 'run', '--project', project, ...reporters]);
  return readCounts(report, code);
}

/**
 * A check that is not made of tests counts as one.
 *
 * @param {string} title
 * @param {number | null} code
 * @returns {Counts}
 */
function asCounts(title, code) {
  return code === 0 ? { passed: 1, failed: 0, failures: [] } : { passed: 0, failed: 1, failures: [title] };
}

/** @param {number} ms */
function seconds(ms) {
  return (ms / 1000).toFixed(1);
}

const HELP = `Sets everything up, runs every check, and closes with the line "N passed, N failed".

npm test

Parts of it: npm run lint, npm run build, npm run test:unit, test:integration and test:e2e; those take what vitest takes,
behind two dashes: npm run test:unit -- <part of a path>`;

await runCommand(async () => {
  if (readArguments(HELP, {}) === null) return 0;
  checkNode();
  await ensureInstalled();
  if (!process.env.REDIS_URL) ensureRedisServer(console.log);
  const tally = new Tally();
  for (const [title, step] of STEPS) {
    console.log(`\n── ${title}`);
    const start = performance.now();
    const counts = await step();
    const took = seconds(performance.now() - start);
    console.log(`── ${title}: ${counts.passed} passed, ${counts.failed} failed in ${took} s`);
    tally.add(counts);
  }
  return tally.print();
});
