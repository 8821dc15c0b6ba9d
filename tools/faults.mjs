// @ts-check
/**
 * `npm run test:faults [-- <filter> ...] [--quick] [--minutes <n>]`: breaks real processes under load and prints what
 * became of the jobs, a row a scenario. Filters are parts of the names of files in test/faults; the soak runs by name only.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from './arguments.mjs';
import { ensureRedisServer } from './redis-install.mjs';
import { ROOT } from './root.mjs';
import { runNode } from './run-node.mjs';
import { build, checkNode, ensureInstalled } from './setup.mjs';
import { Tally } from './tally.mjs';
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
const SOAK = 'soak';
const REPORT = join(ROOT, '.shoal/test/faults.jsonl');
const COUNTS = join(ROOT, '.shoal/test/faults.json');

const NAMES = readdirSync(join(ROOT, FOLDER))
  .filter((name) => name.endsWith('.spec.ts'))
  .map((name) => name.replace('.spec.ts', ''));

const HELP = `Breaks real processes under load and prints what became of the jobs, a row a scenario.

npm run test:faults [-- <filter> ...] [--quick] [--minutes <n>]

  <filter>       part of the name of a file of scenarios; all but ${SOAK} where left out:
                 ${NAMES.join(', ').replaceAll(/(.{60,80}), /g, '$1,\n                 ')}
  --quick        smaller loads, for a first look
  --minutes <n>  how long ${SOAK} lasts`;

/** @param {readonly string[]} filters */
function chooseFiles(filters) {
  const unknown = filters.filter((filter) => !NAMES.some((name) => name.includes(filter)));
  if (unknown.length > 0) {
    throw new UserError(`no scenario is named ${unknown.join(', ')}; there are ${NAMES.join(', ')}.`);
  }
  const chosen = NAMES.filter((name) => {
    return filters.length === 0 ? name !== SOAK : filters.some((filter) => name.includes(filter));
  });
  return chosen.map((name) => `${FOLDER}/${name}.spec.ts`);
}

/**
 * @param {string[]} files
 * @param {Record<string, string>} env
 */
function vitest(files, env) {
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${COUNTS}`];
  return runNode(['node_modules/vitest/vitest.mjs', 'run', '--project', 'faults', ...reporters, ...files], env);
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
  const read = readArguments(HELP, {
    allowPositionals: true,
    options: { quick: { type: 'boolean', default: false }, minutes: { type: 'string' } },
  });
  if (read === null) return 0;
  const { quick, minutes } = read.values;
  if (minutes !== undefined && !(Number(minutes) > 0)) throw new UserError('--minutes takes a number above 0.');
  const files = chooseFiles(read.positionals);
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
    ...(quick && { SHOAL_FAULTS_QUICK: '1' }),
    ...(minutes !== undefined && { SHOAL_FAULTS_MINUTES: minutes }),
  });
  const rows = readRows();
  for (const { fault, note } of rows) if (note !== '') console.log(`${fault}: ${note}`);
  console.log(`\n${table(rows)}`);
  const tally = new Tally();
  tally.add(readCounts(COUNTS, exit));
  return tally.print();
});
