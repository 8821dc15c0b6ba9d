// @ts-check
/** `npm run bench`: installs the peers that Shoal is measured against, beside and not among its own packages, and measures. */
import { join } from 'node:path';
import { readBenchOptions } from './bench-options.mjs';
import { ensureRedisServer } from './redis-install.mjs';
import { ROOT } from './root.mjs';
import { build, checkNode, ensureInstalled } from './setup.mjs';
import { runCommand, UserError } from './user-error.mjs';

await runCommand(async () => {
  const options = readBenchOptions();
  if (options === null) return 0;
  checkNode();
  await ensureInstalled();
  await ensureInstalled(join(ROOT, 'bench'));
  await ensureRedisServer(console.log);
  for (const projects of [[], ['bench']]) {
    const { code, output } = await build(projects);
    if (code !== 0) throw new UserError(`the build failed:\n${output.trimEnd()}`);
  }
  const { runBench } = await import(new URL('../bench/dist/main.js', import.meta.url).href);
  await runBench(options);
  return 0;
});
