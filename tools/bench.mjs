// @ts-check
/** `npm run bench`: installs the peers that Shoal is measured against, beside and not among its own packages, and measures. */
import { join } from 'node:path';
import { ensureRedisServer } from './redis-install.mjs';
import { ROOT } from './root.mjs';
import { build, checkNode, ensureInstalled } from './setup.mjs';
import { runCommand, UserError } from './user-error.mjs';

await runCommand(async () => {
  checkNode();
  await ensureInstalled();
  await ensureInstalled(join(ROOT, 'bench'));
  await ensureRedisServer(console.log);
  for (const projects of [[], ['bench']]) {
    const { code, output } = await build(projects);
    if (code !== 0) throw new UserError(`the build failed:\n${output.trimEnd()}`);
  }
  // It reads its flags from the command line by itself.
  await import(new URL('../bench/dist/main.js', import.meta.url).href);
  return 0;
});
