// @ts-check
/**
 * A container engine: the one that answers here, else one of our own, with everything it keeps in a temporary folder.
 *
 * Our own is Debian's, installed if need be. It has no bridge of its own and touches no firewall rules: containers that are
 * to reach each other join a network, and builds use the machine's.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findApt, findProgram, installPackages } from './apt.mjs';
import { UserError } from './user-error.mjs';

/**
 * @typedef {object} Engine
 * @property {boolean} own started here
 * @property {Record<string, string>} env for those who talk to it
 * @property {() => Promise<void>} close ends our own one and removes all that it made; leaves another one alone
 */

const PACKAGES = ['docker.io', 'docker-compose', 'debootstrap'];
const SERVICES = ['docker.service', 'docker.socket', 'containerd.service'];
const START_MS = 60_000;
const STOP_MS = 60_000;
/** What engines leave behind whatever folders they are given. */
const LEFTOVERS = ['/etc/docker/key.json', '/run/docker'];

/**
 * Becomes the engine ("$@"), and leaves a reader on standard input, a pipe from the owner that the kernel closes however the
 * owner ends: then the engine gets SIGTERM.
 */
const SCRIPT = 'exec 3<&0; ( read -r _ <&3; kill -TERM $$ ) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null';

/**
 * @param {(line: string) => void} say
 * @returns {Promise<Engine>}
 */
export async function openEngine(say) {
  if (findProgram('docker') && spawnSync('docker', ['version'], { stdio: 'ignore' }).status === 0) {
    return { own: false, env: {}, close: async () => {} };
  }
  installEngine(say);
  return startEngine(say);
}

/** @param {(line: string) => void} say */
function installEngine(say) {
  if (['dockerd', 'docker', 'docker-compose', 'debootstrap'].every((name) => findProgram(name))) return;
  const apt = findApt();
  if (apt === undefined) throw new UserError('no container engine answers: start Docker, or set DOCKER_HOST.');
  say(`No container engine here: installing Debian’s ${PACKAGES.join(', ')} (no system service is left running)...`);
  try {
    installPackages(apt, PACKAGES, SERVICES);
  } catch (error) {
    throw new UserError(`${/** @type {Error} */ (error).message}: start Docker, or set DOCKER_HOST.`);
  }
}

/**
 * @param {(line: string) => void} say
 * @returns {Promise<Engine>}
 */
async function startEngine(say) {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-engine-'));
  const socket = join(folder, 'docker.sock');
  const cgroup = `shoal-engine-${process.pid}`;
  const leftovers = LEFTOVERS.filter((path) => !existsSync(path));
  const log = join(folder, 'log');
  writeFileSync(join(folder, 'daemon.json'), '{}');
  const args = [
    ['--config-file', join(folder, 'daemon.json')],
    ['--host', `unix://${socket}`],
    ['--data-root', join(folder, 'data')],
    ['--exec-root', join(folder, 'exec')],
    ['--pidfile', join(folder, 'pid')],
    ['--cgroup-parent', `/${cgroup}`],
    ['--bridge=none', '--iptables=false', '--ip6tables=false', '--log-level=warn'],
  ].flat();
  const output = openSync(log, 'a');
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'sh', 'dockerd', ...args], {
    detached: true,
    stdio: ['pipe', output, output],
  });
  const ended = once(child, 'exit');
  // Where it is itself in a container, Testcontainers would ask the bridge for the address of published ports.
  const env = { DOCKER_HOST: `unix://${socket}`, TESTCONTAINERS_HOST_OVERRIDE: '127.0.0.1' };
  const close = async () => {
    removeAll(env);
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    child.stdin?.destroy();
    await ended;
    clearTimeout(timer);
    unmountBelow(folder);
    for (const path of [folder, ...leftovers]) rmSync(path, { recursive: true, force: true });
    removeCgroups(cgroup);
  };
  if (await answers(socket, ended)) {
    say(`Started a container engine in ${folder}.`);
    return { own: true, env, close };
  }
  const words = readFileSync(log, 'utf8').trim().split('\n').at(-1);
  await close();
  throw new UserError(`dockerd did not start (${words}): start Docker, or set DOCKER_HOST.`);
}

/**
 * Polls until the engine answers: whether it does.
 *
 * @param {string} socket
 * @param {Promise<unknown>} ended
 */
async function answers(socket, ended) {
  let over = false;
  ended.then(() => {
    over = true;
  });
  const deadline = performance.now() + START_MS;
  while (!over && performance.now() < deadline) {
    if (await ping(socket)) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}

/**
 * @param {string} socketPath
 * @returns {Promise<boolean>}
 */
function ping(socketPath) {
  return new Promise((resolve) => {
    request({ socketPath, path: '/_ping', timeout: 5000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    })
      .once('error', () => resolve(false))
      .end();
  });
}

/**
 * Containers of a run that broke off, and networks, whose interfaces would outlive the engine.
 *
 * @param {Record<string, string>} env
 */
function removeAll(env) {
  const docker = (/** @type {string[]} */ args) =>
    spawnSync('docker', args, { env: { ...process.env, ...env }, encoding: 'utf8' }).stdout ?? '';
  const containers = docker(['ps', '--all', '--quiet']).split('\n').filter(Boolean);
  if (containers.length > 0) docker(['rm', '--force', '--volumes', ...containers]);
  docker(['network', 'prune', '--force']);
}

/** @param {string} folder */
function unmountBelow(folder) {
  const points = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((point) => point.startsWith(`${folder}/`));
  for (const point of points.reverse()) spawnSync('umount', ['--lazy', point]);
}

/**
 * The kernel keeps a folder for each group of processes, in each of its hierarchies, until it is removed.
 *
 * @param {string} name
 */
function removeCgroups(name) {
  const root = '/sys/fs/cgroup';
  if (!existsSync(root)) return;
  for (const folder of ['', ...readdirSync(root)]) {
    try {
      rmdirSync(join(root, folder, name));
    } catch {
      // Not in this hierarchy.
    }
  }
}
