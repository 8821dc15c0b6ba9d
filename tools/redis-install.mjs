// @ts-check
/** Finds a Redis server program, or installs Debian's. */
import { spawnSync } from 'node:child_process';
import { findApt, findProgram, installPackages } from './apt.mjs';
import { UserError } from './user-error.mjs';

/** Scripts are sent with flags that older servers do not know. */
const OLDEST = 7;

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
 * A server program that is there or gets installed; throws a UserError that says what to do where neither works.
 *
 * @param {(line: string) => void} say
 * @param {{ path?: string, uid?: number, policy?: string }} [system] what this process runs on, for tests to replace
 * @returns {string}
 */
export function ensureRedisServer(say, { path = process.env.PATH ?? '', uid = process.getuid?.(), policy } = {}) {
  const found = findRedisServer(path);
  if (found !== null) return checkVersion(found);
  const apt = findApt({ path, uid });
  if (apt === undefined) {
    throw new UserError('no Redis: install one (Debian: sudo apt-get install redis-server) or set REDIS_URL.');
  }
  say('No redis-server here: installing Debian’s package with apt-get (no system service is left running)...');
  try {
    installPackages(apt, ['redis-server'], ['redis-server'], { path, ...(policy && { policy }) });
  } catch (error) {
    throw new UserError(`${/** @type {Error} */ (error).message}: install redis-server by hand or set REDIS_URL.`);
  }
  const installed = findRedisServer(path);
  if (installed === null) throw new UserError('apt-get installed redis-server, but it is not on PATH.');
  return checkVersion(installed);
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
