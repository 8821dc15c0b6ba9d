/** What the npm scripts of tools/ are asked for, read before they do anything, and what ends with them. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { hasEnded, ROOT } from '../support/processes.js';

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };

/** Those of tools/, but `npm start`: its options are the CLI's, which is built first. */
const FILES = Object.values(scripts).flatMap((script) => {
  const [, file] = /^exec node (tools\/\S+\.mjs)$/.exec(script) ?? [];
  return file === undefined || file === 'tools/start.mjs' ? [] : [file];
});

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe.each(FILES)('%s', (file) => {
  test('shows its help, and does nothing else', () => {
    const { status, stdout, stderr } = run(file, '--help');
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^npm (run|test)/m);
  });

  test('refuses an option that it does not know in one line', () => {
    const { status, stdout, stderr } = run(file, '--nonsense');
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^shoal: Unknown option '--nonsense'; see .*--help\.\n$/);
  });
});

test.each<[args: string[], message: RegExp]>([
  [['tools/faults.mjs', 'hostile', 'nosuch'], /^shoal: no scenario is named nosuch; there are .*hostile/],
  [['tools/faults.mjs', 'soak', '--minutes=x'], /^shoal: --minutes takes a number above 0\.\n$/],
  [['tools/bench.mjs', '--only', 'queue,nosuch'], /^shoal: --only takes encoder, .* and not nosuch\.\n$/],
  [['tools/bench.mjs', '--rounds=0'], /^shoal: --rounds takes a whole number from 1/],
  [['tools/test.mjs', 'nosuch'], /^shoal: Unexpected argument 'nosuch'; see --help\.\n$/],
])('%j is refused', (args, message) => {
  const { status, stdout, stderr } = run(...args);
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(message);
});

test('a signal ends what a script runs, and what that has started', async () => {
  const forever = 'setInterval(() => {}, 1000);';
  const started = `
    const child = require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(forever)}]);
    console.log(process.pid, child.pid);
    ${forever}`;
  const script = `
    const { runNode } = await import(${JSON.stringify(pathToFileURL(join(ROOT, 'tools/run-node.mjs')).href)});
    await runNode(['-e', ${JSON.stringify(started)}]).catch((error) => console.log(error.message));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [pids] = (await once(child.stdout, 'data')) as [Buffer];
  const rest = text(child.stdout);
  child.kill('SIGTERM');
  expect(await rest).toBe('stopped by SIGTERM.\n');
  await expect
    .poll(
      () =>
        String(pids)
          .split(' ')
          .map(Number)
          .filter((pid) => !hasEnded(pid)),
      { timeout: 10_000 },
    )
    .toEqual([]);
});
