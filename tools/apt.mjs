// @ts-check
/** Programs on PATH, and Debian's packages for those that are missing. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Package scripts ask this file whether they may start a service; exit code 101 forbids it. */
const POLICY = '/usr/sbin/policy-rc.d';

/**
 * The first executable of this name on PATH.
 *
 * @param {string} name
 * @param {string} [path]
 */
export function findProgram(name, path = process.env.PATH ?? '') {
  return path
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/** @param {string} file */
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The machine's apt-get, where this process may install packages with it.
 *
 * @param {{ path?: string, uid?: number | undefined }} [system] for tests to replace
 */
export function findApt({ path, uid = process.getuid?.() } = {}) {
  return uid === 0 ? findProgram('apt-get', path) : undefined;
}

/**
 * Installs packages while package scripts may start no service, now or at the next boot. Throws an Error with one line
 * where apt-get fails.
 *
 * @param {string} apt
 * @param {readonly string[]} packages
 * @param {readonly string[]} services units that the packages enable
 * @param {{ path?: string, policy?: string }} [system] for tests to replace
 */
export function installPackages(apt, packages, services, { path = process.env.PATH ?? '', policy = POLICY } = {}) {
  const env = { ...process.env, PATH: path, DEBIAN_FRONTEND: 'noninteractive' };
  const ownPolicy = !existsSync(policy);
  if (ownPolicy) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    runApt(apt, ['update', '-qq'], env);
    runApt(apt, ['install', '-qq', '-y', '--no-install-recommends', ...packages], env);
  } finally {
    if (ownPolicy) rmSync(policy, { force: true });
  }
  // Nor at the next boot, nor where the machine's own policy allowed the start. Without systemd there is no systemctl.
  spawnSync('systemctl', ['disable', '--now', ...services], { env, stdio: 'ignore' });
}

/**
 * @param {string} apt
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 */
function runApt(apt, args, env) {
  const { status, stderr, error } = spawnSync(apt, args, {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  if (status === 0) return;
  const reason = error?.message ?? stderr.trim().split('\n').at(-1) ?? '';
  throw new Error(`apt-get ${args[0]} failed (${reason})`);
}
