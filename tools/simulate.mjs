// @ts-check
/** `npm run simulate`: plays traffic against the autoscaling number and prints the table of docs/scaling.md. */
import { readArguments } from './arguments.mjs';
import { build, checkNode, ensureInstalled } from './setup.mjs';
import { runCommand, UserError } from './user-error.mjs';

const HELP = `Plays traffic against the autoscaling number and prints the tables of docs/scaling.md: 5 seeds, some minutes.

npm run simulate`;

await runCommand(async () => {
  if (readArguments(HELP, {}) === null) return 0;
  checkNode();
  await ensureInstalled();
  const { code, output } = await build(['test']);
  if (code !== 0) throw new UserError(`the build failed:\n${output.trimEnd()}`);
  await import(new URL('../dist/test/simulation/main.js', import.meta.url).href);
  return 0;
});
