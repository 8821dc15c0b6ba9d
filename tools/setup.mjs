// @ts-check
/** From a fresh clone to compiled packages: the Node version, the dependencies, the build. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './root.mjs';
import { UserError } from './user-error.mjs';

/** The oldest Node; the same as `engines` in package.json. */
const OLDEST = { major: 20, minor: 19 };

/** @param {string} [version] */
export function checkNode(version = process.versions.node) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < OLDEST.major || (major === OLDEST.major && minor < OLDEST.minor)) {
    throw new UserError(`Node ${OLDEST.major}.${OLDEST.minor} or newer is needed; this is ${version}.`);
  }
}

/**
 * Installs what a folder's package-lock.json asks for, unless its node_modules holds it already. Quiet unless it fails.
 *
 * @param {string} [folder]
 */
export async function ensureInstalled(folder = ROOT) {
  if (isInstalled(folder)) return;
  console.log('Installing packages (npm ci)...');
  const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm'];
  const quiet = ['--no-progress', '--loglevel=error'];
  const clean = await run([...npm, 'ci', ...quiet], folder);
  if (clean.code === 0) return;
  const install = await run([...npm, 'install', ...quiet], folder);
  if (install.code !== 0) throw new UserError(`npm install failed:\n${install.output.trimEnd()}`);
}

/**
 * Compares the lock with the one that npm leaves in node_modules after each install, so an install by hand counts too.
 * Optional packages may be absent: they are for other platforms.
 *
 * @param {string} root
 */
export function isInstalled(root) {
  const installed = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installed)) return false;
  const have = readPackages(installed);
  return Object.entries(readPackages(join(root, 'package-lock.json'))).every(([path, wanted]) => {
    if (!path.includes('node_modules/')) return true;
    const found = have[path];
    return found === undefined ? wanted.optional === true : found.version === wanted.version;
  });
}

/**
 * @param {string} lock
 * @returns {Record<string, { version?: string, optional?: boolean }>}
 */
function readPackages(lock) {
  return JSON.parse(readFileSync(lock, 'utf8')).packages;
}

/** The command that `npm start` runs, and the processes that it starts. */
export const STARTED = ['apps/cli', 'apps/api', 'apps/worker', 'apps/webhooks'];

/** Compiles what changed of the apps and the libs they use. Quiet unless it fails. */
export async function ensureBuilt() {
  const fresh = !existsSync(join(ROOT, 'apps/cli/dist/main.js'));
  if (fresh) console.log('Building (tsc -b)...');
  const { code, output } = await build(STARTED);
  if (code !== 0) throw new UserError(`the build failed:\n${output.trimEnd()}`);
}

/**
 * Compiles projects and what they refer to.
 *
 * @param {string[]} [projects] folders; everything, tests included, where left out
 */
export function build(projects = []) {
  return run([process.execPath, join(ROOT, 'node_modules/typescript/bin/tsc'), '-b', ...projects]);
}

/**
 * Runs a command in a folder of the repository and collects what it prints.
 *
 * @param {string[]} command
 * @param {string} [cwd]
 * @returns {Promise<{ code: number | null, output: string }>}
 */
function run([file = '', ...args], cwd = ROOT) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    child.once('error', (error) => reject(new UserError(`${file} cannot be run: ${error.message}`)));
    child.once('close', (code) => resolve({ code, output }));
  });
}
