// @ts-check
/** `npm start`: sets everything up, then hands over to `shoal start`. */
import { checkNode, ensureBuilt, ensureInstalled } from './setup.mjs';
import { runCommand } from './user-error.mjs';

await runCommand(async () => {
  checkNode();
  await ensureInstalled();
  await ensureBuilt();
  const { run } = await import(new URL('../apps/cli/dist/cli.js', import.meta.url).href);
  return run(['start', ...process.argv.slice(2)]);
});
