// @ts-check
/** The command line of `npm run k8s:add-model`, checked: a fault names the option and what it takes. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './root.mjs';
import { UserError } from './user-error.mjs';

/** @typedef {import('./k8s-component.mjs').ModelComponent} ModelComponent */
/** @typedef {import('./k8s-component.mjs').Source} Source */

export const HELP = `Adds a model to the manifests in k8s/.

npm run k8s:add-model -- <name> [options]

How its folder reaches the pods, one of
  --image                 it is in models/ when the images are built
  --volume <claim>        a PersistentVolumeClaim that holds <name>/<version>/
  --url <url> --sha256 <hash>
                          a .tar or .tar.gz of the version's folder
      --version 1         which version it is; give --version, --url and --sha256 once for each that has jobs
      --size 2Gi          room for the archive and what is in it
      --cidr <network>    where the server is, should it not be a public address

Options
  --min 0 --max 20        workers
  --cpu 2 --memory 1Gi    of one worker
  --overlay cpu           where to add it; may be repeated
  --as <name>             name of its objects in the cluster, where the model's own cannot be one
  --replace               write the component anew`;

const OPTIONS = /** @type {const} */ ({
  image: { type: 'boolean' },
  volume: { type: 'string' },
  url: { type: 'string', multiple: true },
  sha256: { type: 'string', multiple: true },
  size: { type: 'string' },
  cidr: { type: 'string' },
  version: { type: 'string', multiple: true },
  min: { type: 'string' },
  max: { type: 'string' },
  cpu: { type: 'string' },
  memory: { type: 'string' },
  overlay: { type: 'string', multiple: true },
  as: { type: 'string' },
  replace: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
});

/** The same as ModelName in libs/contracts. */
const MODEL_NAME = /^[a-z0-9][a-z0-9._-]{0,95}$/;
/** A part of a Deployment's name; KEDA's HorizontalPodAutoscaler (`keda-hpa-worker-<slug>`) may have 63 characters. */
const SLUG = /^[a-z0-9]([a-z0-9-]{0,45}[a-z0-9])?$/;
const CLAIM = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/;
const BYTES = /^[1-9]\d*(Mi|Gi|Ti)$/;
const CPU = /^([1-9]\d*m?|\d+\.\d+)$/;

/**
 * Null where help was asked for.
 *
 * @param {readonly string[]} args
 * @param {string} [root] of the repository
 * @returns {{ model: ModelComponent, overlays: readonly string[], replace: boolean } | null}
 */
export function parseModelOptions(args, root = ROOT) {
  const { values, positionals } = parse(args);
  if (values.help) return null;
  const [name, ...rest] = positionals;
  if (name === undefined || rest.length > 0) throw new UserError(`give the name of one model.\n\n${HELP}`);
  check(MODEL_NAME.test(name), `"${name}" is no model name: lower-case letters, digits, ".", "_" and "-", at most 96.`);
  const slug = values.as ?? name.replace(/[._]+/g, '-');
  check(SLUG.test(slug), `"${slug}" cannot name objects in a cluster: give --as <name>, up to 47 of a-z, 0-9 and "-".`);

  const versions = values.version ?? ['1'];
  for (const version of versions) check(/^[1-9]\d{0,8}$/.test(version), '--version takes a whole number from 1.');
  const source = parseSource(values, versions);
  if (source.kind === 'image') {
    const folder = join('models', name);
    check(existsSync(join(root, folder)), `${folder} is not there: the images get their models from it.`);
  }
  const max = integer('--max', values.max ?? '20', 1);
  const min = integer('--min', values.min ?? '0', 0);
  check(min <= max, '--min must not be more than --max.');

  const overlays = values.overlay ?? ['cpu'];
  const known = readdirSync(join(root, 'k8s/overlays'));
  for (const overlay of overlays) {
    check(known.includes(overlay), `there is no overlay "${overlay}"; there are ${known.join(', ')}.`);
    const base = /^ {2}- \.\.\/(\w+)$/m.exec(
      readFileSync(join(root, 'k8s/overlays', overlay, 'kustomization.yaml'), 'utf8'),
    )?.[1];
    check(base === undefined, `the overlay ${overlay} is built on ${base}: --overlay ${base} adds the model to both.`);
  }
  return {
    model: {
      name,
      slug,
      source,
      min,
      max,
      cpu: matching('--cpu', values.cpu ?? '2', CPU, 'cores: 2, 0.5 or 500m'),
      memory: matching('--memory', values.memory ?? '1Gi', BYTES, 'a size such as 512Mi or 4Gi'),
      command: args
        .filter((arg) => arg !== '--replace')
        .map(quoted)
        .join(' '),
    },
    overlays,
    replace: values.replace === true,
  };
}

/** @param {readonly string[]} args */
function parse(args) {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
  } catch (error) {
    const [fault] = error instanceof Error ? error.message.split(/[.\n]/) : [];
    throw new UserError(`${fault}; see npm run k8s:add-model -- --help.`);
  }
}

/**
 * @param {ReturnType<typeof parse>['values']} values
 * @param {readonly string[]} versions
 * @returns {Source}
 */
function parseSource(values, versions) {
  const { image, volume, url: urls = [], sha256: hashes = [], cidr } = values;
  const given = Number(image === true) + Number(volume !== undefined) + Number(urls.length > 0);
  check(given === 1, 'say how the model reaches the pods: one of --image, --volume <claim> and --url <url>.');
  check(
    urls.length > 0 || [values.sha256, values.version, values.size, cidr].every((value) => value === undefined),
    '--version, --sha256, --size and --cidr go with --url.',
  );
  if (image) return { kind: 'image' };
  if (volume !== undefined)
    return { kind: 'volume', claim: matching('--volume', volume, CLAIM, 'the name of a PersistentVolumeClaim') };
  const counts = `--url, --sha256 and --version belong together: ${urls.length}, ${hashes.length} and ${versions.length} were given.`;
  check(urls.length === hashes.length && urls.length === versions.length, counts);
  check(new Set(versions).size === versions.length, 'the same --version was given twice.');
  const archives = urls.map((url, index) => ({
    version: versions[index] ?? '',
    url: checkUrl(url),
    sha256: matching('--sha256', hashes[index] ?? '', /^[0-9a-f]{64}$/i, '64 hexadecimal digits').toLowerCase(),
  }));
  const size = matching('--size', values.size ?? '2Gi', BYTES, 'a size such as 512Mi or 4Gi');
  return { kind: 'url', archives, size, ...(cidr !== undefined && { cidr: checkNetwork(cidr) }) };
}

/** @param {string} url */
function checkUrl(url) {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const usable =
    /^\S+$/.test(url) &&
    parsed !== undefined &&
    /^https?:$/.test(parsed.protocol) &&
    parsed.username === '' &&
    parsed.password === '';
  check(
    usable,
    '--url takes an http:// or https:// URL without user and password: manifests are no place for secrets.',
  );
  return url;
}

/**
 * As a shell takes it.
 *
 * @param {string} arg
 */
function quoted(arg) {
  return /^[\w./:=@%+-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`;
}

/** @param {string} network */
function checkNetwork(network) {
  const [address = '', bits = '', ...rest] = network.split('/');
  const most = { 4: 32, 6: 128 }[isIP(address)] ?? -1;
  check(
    /^\d{1,3}$/.test(bits) && Number(bits) <= most && rest.length === 0,
    '--cidr takes a network such as 10.1.2.0/24.',
  );
  return network;
}

/**
 * @param {string} option
 * @param {string} value
 * @param {number} least
 */
function integer(option, value, least) {
  check(/^\d{1,4}$/.test(value) && Number(value) >= least, `${option} takes a whole number from ${least} to 9999.`);
  return Number(value);
}

/**
 * @param {string} option
 * @param {string} value
 * @param {RegExp} pattern
 * @param {string} what
 */
function matching(option, value, pattern, what) {
  check(pattern.test(value), `${option} takes ${what}.`);
  return value;
}

/**
 * @param {boolean} holds
 * @param {string} message
 */
function check(holds, message) {
  if (!holds) throw new UserError(message);
}
