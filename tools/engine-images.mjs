// @ts-check
/**
 * Images to build and test on: those of the registry, or, where none can be reached, images made from Debian's packages and
 * npm's Node: a small Debian root, Redis and HAProxy on it, and Node on it. They are kept in .shoal/containers.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './root.mjs';
import { UserError } from './user-error.mjs';

/**
 * @typedef {object} Images
 * @property {string} node
 * @property {string} redis
 * @property {string} proxy
 */

const CACHE = join(ROOT, '.shoal/containers');
const SUITE = 'bookworm';
/** Certificates that this machine trusts, those of its network's proxy among them. */
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';
/** What Debian's own slim images leave out. */
const BULK = ['usr/share/doc', 'usr/share/man', 'usr/share/locale', 'var/cache/apt', 'var/lib/apt/lists', 'var/log'];

const DEBIAN = 'shoal-local-debian';
const NODE = 'shoal-local-node';
const SERVICES = 'shoal-local-services';

/** Users and folders as in the images of the registry. */
const SERVICES_DOCKERFILE = `
FROM ${DEBIAN}
RUN groupadd --system --gid 999 redis && useradd --system --uid 999 --gid 999 redis \\
  && apt-get update -qq && apt-get install -qq -y --no-install-recommends redis-server haproxy \\
  && rm -rf /var/lib/apt/lists/* /var/cache/apt && install -d -o redis -g redis /data
WORKDIR /data
`;

const NODE_DOCKERFILE = `
FROM ${DEBIAN}
COPY node/bin/node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
ENV NODE_EXTRA_CA_CERTS=${CERTIFICATES}
CMD ["node"]
`;

/**
 * @param {Record<string, string>} env how to reach the engine
 * @param {(line: string) => void} say
 * @returns {Images}
 */
export function findImages(env, say) {
  const wanted = imagesOfRegistry();
  const missing = Object.values(wanted).filter((image) => !hasImage(image, env));
  if (missing.every((image) => run('docker', ['pull', '--quiet', image], { env }).status === 0)) return wanted;
  say('No image registry can be reached: making images from Debian’s packages and npm’s Node...');
  const version = readNodeVersion(wanted.node);
  keepImage(SERVICES, env, (folder) => writeFileSync(join(folder, 'Dockerfile'), SERVICES_DOCKERFILE));
  keepImage(NODE, env, (folder) => {
    writeFileSync(join(folder, 'Dockerfile'), NODE_DOCKERFILE);
    fetchNode(version, folder);
  });
  return { node: NODE, redis: SERVICES, proxy: SERVICES };
}

/** The defaults of the Dockerfile and of docker-compose.yml. */
function imagesOfRegistry() {
  const compose = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8');
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  return {
    node: search(dockerfile, /^ARG NODE_IMAGE=(\S+)$/m),
    redis: search(compose, /\$\{SHOAL_REDIS_IMAGE:-([^}]+)\}/),
    proxy: search(compose, /\$\{SHOAL_PROXY_IMAGE:-([^}]+)\}/),
  };
}

/** @param {string} image for example node:24.1.0-bookworm-slim */
function readNodeVersion(image) {
  return search(image, /:(\d+\.\d+\.\d+)/);
}

/**
 * @param {string} text
 * @param {RegExp} pattern
 */
function search(text, pattern) {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`nothing matches ${pattern}`);
  return found;
}

/**
 * Loads the image from the cache, or builds it in a folder that `fill` prepares and puts it there.
 *
 * @param {string} name
 * @param {Record<string, string>} env
 * @param {(folder: string) => void} fill
 */
function keepImage(name, env, fill) {
  const archive = join(CACHE, `${name}.tar`);
  if (existsSync(archive)) {
    must('docker', ['load', '--quiet', '--input', archive], { env });
    return;
  }
  if (!hasImage(DEBIAN, env)) importDebian(env);
  inFolder((folder) => {
    fill(folder);
    must('docker', ['build', '--quiet', '--network=host', '--tag', name, folder], { env });
  });
  mkdirSync(CACHE, { recursive: true });
  must('docker', ['save', '--output', `${archive}.new`, name], { env });
  renameSync(`${archive}.new`, archive);
}

/** @param {Record<string, string>} env */
function importDebian(env) {
  inFolder((folder) => {
    const root = join(folder, 'root');
    must('debootstrap', ['--variant=minbase', SUITE, root]);
    cpSync(CERTIFICATES, join(root, CERTIFICATES), { dereference: true });
    // No service starts while packages are installed.
    writeFileSync(join(root, 'usr/sbin/policy-rc.d'), '#!/bin/sh\nexit 101\n', { mode: 0o755 });
    const archive = join(folder, 'root.tar');
    must('tar', [
      '--create',
      '--file',
      archive,
      '--directory',
      root,
      ...BULK.map((path) => `--exclude=./${path}/*`),
      '.',
    ]);
    must('docker', ['import', archive, DEBIAN], { env });
  });
}

/**
 * Node for Linux from npm, and npm itself.
 *
 * @param {string} version
 * @param {string} folder
 */
function fetchNode(version, folder) {
  const binary = `node-linux-${process.arch}`;
  const packages = join(folder, 'packages');
  mkdirSync(packages);
  must('npm', ['install', '--prefix', packages, '--no-package-lock', `${binary}@${version}`, 'npm@11']);
  for (const [from, to] of [
    [binary, 'node'],
    ['npm', 'npm'],
  ]) {
    renameSync(join(packages, 'node_modules', from ?? ''), join(folder, to ?? ''));
  }
  rmSync(packages, { recursive: true });
}

/** @param {(folder: string) => void} work */
function inFolder(work) {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-image-'));
  try {
    work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {string} image
 * @param {Record<string, string>} env
 */
function hasImage(image, env) {
  return run('docker', ['image', 'inspect', image], { env }).status === 0;
}

/**
 * @param {string} file
 * @param {string[]} args
 * @param {{ env?: Record<string, string> }} [options]
 */
function run(file, args, { env = {} } = {}) {
  return spawnSync(file, args, { env: { ...process.env, ...env }, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
}

/**
 * @param {string} file
 * @param {string[]} args
 * @param {{ env?: Record<string, string> }} [options]
 */
function must(file, args, options) {
  const { status, stdout, stderr, error } = run(file, args, options);
  if (status === 0) return;
  const words = error?.message ?? `${stdout}\n${stderr}`.trim().split('\n').slice(-5).join('\n');
  throw new UserError(`${file} ${args[0]} failed:\n${words}`);
}
