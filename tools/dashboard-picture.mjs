// @ts-check
/** `npm run dashboard:picture`: loads Shoal for some minutes under a real Prometheus and draws the dashboard's panels from that. */
import { join } from 'node:path';
import { findApt, findProgram, installPackages } from './apt.mjs';
import { readArguments } from './arguments.mjs';
import { ensureRedisServer } from './redis-install.mjs';
import { ROOT } from './root.mjs';
import { build, checkNode, ensureInstalled } from './setup.mjs';
import { runCommand, UserError } from './user-error.mjs';

/** Program → Debian's package, and the services that it would start. */
const NEEDED = /** @type {const} */ ({
  prometheus: { package: 'prometheus', services: ['prometheus', 'prometheus-node-exporter'] },
  chromium: { package: 'chromium', services: [] },
});

/** @param {keyof typeof NEEDED} name */
function ensureProgram(name) {
  if (findProgram(name)) return;
  const apt = findApt();
  if (apt === undefined) throw new UserError(`no ${name}: install it (Debian: sudo apt-get install ${name}).`);
  console.log(`No ${name} here: installing Debian’s package with apt-get (no system service is left running)...`);
  installPackages(apt, [NEEDED[name].package], NEEDED[name].services);
}

const HELP = `Loads Shoal for some minutes under a real Prometheus and draws docs/dashboard.png from that. Prometheus and
Chromium are installed by apt-get where they are not there.

npm run dashboard:picture`;

await runCommand(async () => {
  if (readArguments(HELP, {}) === null) return 0;
  checkNode();
  await ensureInstalled();
  await ensureInstalled(join(ROOT, 'bench'));
  ensureRedisServer(console.log);
  ensureProgram('prometheus');
  ensureProgram('chromium');
  for (const projects of [[], ['bench']]) {
    const { code, output } = await build(projects);
    if (code !== 0) throw new UserError(`the build failed:\n${output.trimEnd()}`);
  }
  await import(new URL('../bench/dist/dashboard/picture.js', import.meta.url).href);
  return 0;
});
