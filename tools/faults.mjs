// @ts-check
/**
 * `npm run test:faults [-- <filter> ...] [--quick] [--minutes <n>]`: breaks real processes under load and prints what
 * became of the jobs, a row a scenario. Filters are parts of the names of files in test/faults; the soak runs by name only.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureRedisServer } from './redis-install.mjs';
import { ROOT } from './root.mjs';
import { build, checkNode, ensureInstalled } from './setup.mjs';
import { runCommand, UserError } from './user-error.mjs';
import { readCounts } from './vitest-counts.mjs';

/**
 * @typedef {object} Row
 * @property {string} fault
 * @property {string} load
 * @property {number | null} jobs
 * @property {number | null} lost
 * @property {number | null} duplicated
 * @property {number | null} recovery in seconds
 * @property {string} verdict
 * @property {string} note
 * @property {number} seconds
 */

const FOLDER = 'test/faults';
const SOAK = 'soak.spec.ts';
const REPORT = join(ROOT, '.shoal/test/faults.jsonl');
const COUNTS = join(ROOT, '.shoal/test/faults.json');

/** @param {readonly string[]} filters */
function chooseFiles(filters) {
  const all = readdirSync(join(ROOT, FOLDER)).filter((name) => name.endsWith('.spec.ts'));
  const chosen = all.filter((name) => {
    return filters.length === 0 ? name !== SOAK : filters.some((filter) => name.includes(filter));
  });
  if (chosen.length === 0) throw new UserError(`no scenario is named so; there are ${all.join(', ')}.`);
  return chosen.map((name) => `${FOLDER}/${name}`);
}

/**
 * @param {string[]} files
 * @param {Record<string, string>} env
 * @returns {Promise<number | null>}
 */
function vitest(files, env) {
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${COUNTS}`];
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'faults', ...reporters, ...files];
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  });
  return new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
}

/** @param {readonly Row[]} rows */
function table(rows) {
  const head = ['fault', 'load', 'jobs', 'lost', 'duplicated', 'recovery (s)', 'verdict'];
  const lines = rows.map((row) => [
    row.fault,
    row.load,
    ...[row.jobs, row.lost, row.duplicated].map((count) => count?.toLocaleString('en') ?? '–'),
    row.recovery?.toFixed(1) ?? '–',
    row.verdict,
  ]);
  const widths = head.map((title, column) =>
    Math.max(...[title, ...lines.map((line) => line[column] ?? '')].map((cell) => cell.length)),
  );
  const print = (/** @type {string[]} */ cells) =>
    `| ${cells.map((cell, n) => cell.padEnd(widths[n] ?? 0)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [print(head), rule, ...lines.map(print)].join('\n');
}

function readRows() {
  const lines = readFileSync(REPORT, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => /** @type {Row} */ (JSON.parse(line)));
}

await runCommand(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: 'boolean', default: false }, minutes: { type: 'string' } },
  });
  const files = chooseFiles(positionals);
  checkNode();
  await ensureInstalled();
  ensureRedisServer(console.log);
  const { code, output } = await build();
  if (code !== 0) throw new UserError(`the build failed:\n${output.trimEnd()}`);
  mkdirSync(join(ROOT, '.shoal/test'), { recursive: true });
  writeFileSync(REPORT, '');
  rmSync(COUNTS, { force: true });
  const exit = await vitest(files, {
    SHOAL_FAULTS_REPORT: REPORT,
    ...(values.quick && { SHOAL_FAULTS_QUICK: '1' }),
    ...(values.minutes && { SHOAL_FAULTS_MINUTES: values.minutes }),
  });
  const rows = readRows();
  for (const { fault, note } of rows) if (note !== '') console.log(`${fault}: ${note}`);
  console.log(`\n${table(rows)}`);
  const { passed, failed } = readCounts(COUNTS, exit);
  console.log(`\n${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
});
