/** What an import that was killed has left goes with the next; what somebody may be at stays. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { makeDraft, removeLeftovers } from './drafts.js';

function models(): string {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-drafts-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A draft that another process has made, and that process. */
async function draftOfAnother(folder: string) {
  const code = `import { makeDraft } from ${JSON.stringify(import.meta.resolve('../../dist/import/drafts.js'))};
    console.log(makeDraft(process.argv[1])); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, path: line.toString().trim() };
}

test('what a process that was killed has left is removed, and told', async () => {
  const folder = models();
  const { child, path } = await draftOfAnother(folder);
  expect(removeLeftovers(folder)).toEqual([]);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(removeLeftovers(folder)).toEqual([`Removed what an import that was killed has left: ${path}`]);
  expect(readdirSync(folder)).toEqual([]);
});

test('a number that a later process has does not keep it', () => {
  const folder = models();
  const [, machine] = /import-([0-9a-f]+)-/.exec(makeDraft(folder))!;
  const before = mkdtempSync(join(folder, `.import-${machine}-${process.pid}-1-`));
  expect(removeLeftovers(folder)).toEqual([expect.stringContaining(before)]);
  expect(readdirSync(folder)).toHaveLength(1);
});

test("another machine's stays, with the command that removes it", () => {
  const folder = models();
  const path = mkdtempSync(join(folder, `.import-00000000-${process.pid}-1-`));
  expect(removeLeftovers(folder)).toEqual([expect.stringMatching(`^${path} is of .*: rm -r ${path}$`)]);
  expect(readdirSync(folder)).toHaveLength(1);
});
