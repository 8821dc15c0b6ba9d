// @ts-check
/** Finds a Redis server program, or installs Debian's. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { UserError } from './user-error.mjs';

/** Scripts are sent with flags that older servers do not know. */
const OLDEST = 7;

/** Package scripts ask this file whether they may start a service; exit code 101 forbids it. */
const POLICY = '/usr/sbin/policy-rc.d';

/**
 * The first `redis-server` or `valkey-server` on PATH.
 *
 * @param {string} [path]
 * @returns {string | null}
 */
export function findRedisServer(path = process.env.PATH ?? '') {
  return findProgram('redis-server', path) ?? findProgram('valkey-server', path) ?? null;
}

/**
 * @param {string} name
 * @param {string} path
 */
function findProgram(name, path) {
  return path
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/**
 * A server program that is there or gets installed; throws a UserError that says what to do where neither works.
 *
 * @param {(line: string) => void} say
 * @param {{ path?: string, uid?: number, policy?: string }} [system] what this process runs on, for tests to replace
 * @returns {string}
 */
export function ensureRedisServer(
  say,
  { path = process.env.PATH ?? '', uid = process.getuid?.(), policy = POLICY } = {},
) {
  const found = findRedisServer(path);
  if (found !== null) return checkVersion(found);
  const apt = findProgram('apt-get', path);
  if (apt === undefined || uid !== 0) {
    throw new UserError('no Redis: install one (Debian: sudo apt-get install redis-server) or set REDIS_URL.');
  }
  say('No redis-server here: installing Debian’s package with apt-get (no system service is left running)...');
  installWithoutService(apt, path, policy);
  const installed = findRedisServer(path);
  if (installed === null) throw new UserError('apt-get installed redis-server, but it is not on PATH.');
  return checkVersion(installed);
}

/**
 * @param {string} apt
 * @param {string} path
 * @param {string} policy
 */
function installWithoutService(apt, path, policy) {
  const env = { ...process.env, PATH: path, DEBIAN_FRONTEND: 'noninteractive' };
  const ownPolicy = !existsSync(policy);
  if (ownPolicy) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    runApt(apt, ['update', '-qq'], env);
    runApt(apt, ['install', '-qq', '-y', '--no-install-recommends', 'redis-server'], env);
  } finally {
    if (ownPolicy) rmSync(policy, { force: true });
  }
  // Nor at the next boot, nor where the machine's own policy allowed the start. Without systemd there is no systemctl.
  spawnSync('systemctl', ['disable', '--now', 'redis-server'], { env, stdio: 'ignore' });
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
  throw new UserError(`apt-get ${args[0]} failed (${reason}): install redis-server by hand or set REDIS_URL.`);
}

/** @param {string} program */
function checkVersion(program) {
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  const version = /v=(\d+)/.exec(stdout ?? '')?.[1];
  if (version !== undefined && Number(version) < OLDEST) {
    throw new UserError(`${program} is version ${version}; Redis ${OLDEST} or newer is needed (or set REDIS_URL).`);
  }
  return program;
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
