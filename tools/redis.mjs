// @ts-check
/**
 * A Redis server of one's own: started on a free loopback port, gone when its owner is gone.
 *
 * Persistent data stays in its directory, so jobs survive a restart; a second server on the same directory is refused.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { freePort, isPortFree } from './ports.mjs';
import { ensureRedisServer } from './redis-install.mjs';
import { pingRedis } from './redis-ping.mjs';
import { UserError } from './user-error.mjs';

/**
 * @typedef {object} RedisServer
 * @property {string} url
 * @property {number} port
 * @property {number} pid
 * @property {Promise<string>} exited resolves when the server has ended, to a few words on how: `code 1`, `SIGKILL`
 * @property {(graceMs?: number) => Promise<void>} stop SIGTERM (data is flushed), SIGKILL after the grace
 *
 * @typedef {object} RedisServerOptions
 * @property {string} dir made if need be
 * @property {boolean} [persist] append every change to a file, flushed each second; false: nothing is written
 * @property {Record<string, string>} [settings] directives of redis.conf, for example `{ maxmemory: '50mb' }`
 * @property {number} [port] a free one where left out
 * @property {string} [program]
 */

/** Exit code of the start script where another server holds the directory. */
const IN_USE = 75;
/** How long to wait in s for a server that is just ending to release the directory. */
const LOCK_WAIT_S = 3;
/** A large append-only file takes a while to read. */
const START_MS = 60_000;

/**
 * Becomes the server ("$@"), so that the process's id is the server's. Before that it
 * - locks the directory, open as 9, for as long as the server lives (where `flock` exists: any Linux);
 * - leaves a reader on standard input, a pipe from the owner that the kernel closes however the owner ends, SIGKILL
 *   included: then the server gets SIGTERM.
 */
const SCRIPT = `
  if command -v flock >/dev/null; then flock -w ${LOCK_WAIT_S} 9 || exit ${IN_USE}; fi
  exec 3<&0
  ( read -r _ <&3; kill -TERM $$ ) 9>&- >/dev/null 2>&1 &
  exec "$@" 3<&- </dev/null
`;

/**
 * Starts a server and resolves once it answers.
 *
 * @param {RedisServerOptions} options
 * @returns {Promise<RedisServer>}
 */
export async function startRedis({ dir, persist = false, settings = {}, port, program }) {
  const chosen = port ?? (await freePort());
  // Else another server's answer would pass for this one's.
  if (!(await isPortFree(chosen))) throw new UserError(`port ${chosen} for Redis is taken.`);
  const server = program ?? ensureRedisServer((line) => console.log(line));
  mkdirSync(dir, { recursive: true });
  const directives = {
    bind: '127.0.0.1',
    port: String(chosen),
    dir,
    save: '',
    appendonly: persist ? 'yes' : 'no',
    appendfsync: 'everysec',
    'maxmemory-policy': 'noeviction',
    loglevel: 'warning',
    ...settings,
  };
  const args = Object.entries(directives).flatMap(([name, value]) => [`--${name}`, value]);
  // A session of its own: Ctrl-C at the terminal must not reach the server before those who still write to it.
  const child = spawn('/bin/sh', ['-c', `exec 9>"$0"; ${SCRIPT}`, `${dir}/lock`, server, ...args], {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const log = collectLog(child);
  /** @type {Promise<{ code: number | null, words: string }>} */
  const ended = once(child, 'close').then(([code, signal]) => {
    return { code, words: signal ?? `code ${code}` };
  });
  const stop = stopper(child, ended);
  const url = `redis://127.0.0.1:${chosen}`;
  const failure = await Promise.race([answers(url), ended]);
  if (failure === null) {
    return { url, port: chosen, pid: child.pid ?? 0, exited: ended.then(({ words }) => words), stop };
  }
  await stop();
  if (failure.code === IN_USE) throw new UserError(`another Shoal is running on ${dir}: stop it, or set REDIS_URL.`);
  if (port === undefined && /in use/i.test(log())) return startRedis({ dir, persist, settings, program: server });
  throw new UserError(`Redis did not start in ${dir} (${log().trim().split('\n').at(-1) || failure.words}).`);
}

/**
 * Polls until the server answers: null, or how it failed.
 *
 * @param {string} url
 */
async function answers(url) {
  const deadline = performance.now() + START_MS;
  for (;;) {
    try {
      await pingRedis(url, { ms: 1000 });
      return null;
    } catch (error) {
      if (performance.now() > deadline) return { code: null, words: String(error) };
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {Promise<unknown>} ended
 */
function stopper(child, ended) {
  return async (graceMs = 5000) => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    // Ends the reader too, which else waits for this process to end.
    child.stdin?.destroy();
    await ended;
    clearTimeout(timer);
  };
}

/**
 * Reads what the server prints, so that it never blocks, and keeps the end of it for an error message.
 *
 * @param {import('node:child_process').ChildProcess} child
 */
function collectLog(child) {
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
      log = (log + text).slice(-2000);
    });
  }
  return () => log;
}
