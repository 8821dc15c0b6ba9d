/** What is asked of a pull, for what is on this machine already. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '@shoal/tools/user-error';
import { expect, onTestFinished, test } from 'vitest';
import { loadSourceSettings } from './config.js';
import { type ImportCommand, importModel } from './import-model.js';

test('what is not there may have been meant for one of the hub', async () => {
  const wanted = { version: 1, dtypes: [], force: false, report: false, sha256: undefined, maxBytes: undefined };
  const place = { cacheDir: '/none/cache', pulledDir: '/none/pulled' };
  const imported = importModel({ source: 'org/name', to: '/none', ...wanted }, loadSourceSettings({}), place);
  await expect(imported).rejects.toThrow(/no folder and no file .*org\/name; for a model of the hub: hf:org\/name\.$/);
});

test.each<[string, Partial<ImportCommand>]>([
  ['--sha256: for what is fetched, and "m.gguf" is on this machine already; leave it out.', { sha256: 'a'.repeat(64) }],
  ['--max-size: for what is fetched, and "m.gguf" is on this machine already; leave it out.', { maxBytes: 2 ** 38 }],
  [
    '--sha256 and --max-size: for what is fetched, and "m.gguf" is on this machine already; leave them out.',
    { sha256: 'a'.repeat(64), maxBytes: 1 },
  ],
])('is refused, not passed over: %s', async (message, bounds) => {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-import-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const wanted = { version: 1, dtypes: [], force: false, report: false, sha256: undefined, maxBytes: undefined };
  const command = { source: 'm.gguf', to: join(folder, 'models'), ...wanted, ...bounds };
  const place = { cacheDir: join(folder, 'cache'), pulledDir: join(folder, 'pulled') };
  await expect(importModel(command, loadSourceSettings({}), place)).rejects.toThrow(new UserError(message));
  expect(readdirSync(folder)).toEqual([]);
});
