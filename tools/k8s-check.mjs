// @ts-check
/** Checks objects against the schemas in k8s/schemas: types, and no key that Kubernetes would ignore. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './root.mjs';

/** @typedef {import('./k8s-kustomize.mjs').Manifest} Manifest */

/**
 * @typedef {object} Problem
 * @property {string} file
 * @property {string} object kind and name
 * @property {string} path inside the object, '' for all of it
 * @property {string} message
 */

const FILES = ['kubernetes', 'keda', 'prometheus-operator'];

/**
 * @param {Manifest} manifest
 * @param {string} path
 * @param {string} message
 * @returns {Problem}
 */
export function problem({ file, object }, path, message) {
  return { file, object: `${object.kind} ${object.metadata.name}`, path, message };
}

/**
 * Resolves to a function that tells what is wrong with manifests.
 *
 * @returns {Promise<(manifests: readonly Manifest[]) => Problem[]>}
 */
export async function schemaChecker() {
  const ajv = await openAjv();
  /** @type {Map<string, string>} */
  const kinds = new Map();
  for (const name of FILES) {
    const { kinds: refs, ...schema } = readSchema(name);
    ajv.addSchema(schema);
    for (const [kind, ref] of Object.entries(refs)) kinds.set(kind, `${name}${ref}`);
  }
  return (manifests) =>
    manifests.flatMap((manifest) => {
      const { apiVersion, kind } = manifest.object;
      const ref = kinds.get(`${apiVersion}/${kind}`);
      const validate = ref === undefined ? undefined : ajv.getSchema(ref);
      if (validate === undefined) return [problem(manifest, '', `k8s/schemas has no schema of ${apiVersion} ${kind}`)];
      if (validate(manifest.object)) return [];
      return (validate.errors ?? []).map((error) => problem(manifest, dotted(error), describe(error)));
    });
}

/**
 * What is wrong with a compose file.
 *
 * @param {unknown} compose
 * @param {string} file
 * @returns {Promise<Problem[]>}
 */
export async function checkCompose(compose, file) {
  const ajv = await openAjv();
  const validate = ajv.compile(readSchema('compose'));
  if (validate(compose)) return [];
  return (validate.errors ?? []).map((error) => ({
    file,
    object: 'compose',
    path: dotted(error),
    message: describe(error),
  }));
}

async function openAjv() {
  const { Ajv } = await import('ajv');
  // Formats of compose (ports, durations) are Go code there; formats of Kubernetes were left out.
  const ajv = new Ajv({ allErrors: true, strict: false, validateFormats: false });
  ajv.addKeyword({
    keyword: 'uniqueBy',
    type: 'array',
    schemaType: 'array',
    validate: /** @type {(keys: readonly string[], items: readonly Record<string, unknown>[]) => boolean} */ (
      (keys, items) => new Set(items.map((item) => JSON.stringify(keys.map((key) => item[key])))).size === items.length
    ),
    error: { message: 'two entries are the same one to Kubernetes' },
  });
  return ajv;
}

/** @param {string} name */
function readSchema(name) {
  return JSON.parse(readFileSync(join(ROOT, 'k8s/schemas', `${name}.json`), 'utf8'));
}

/** @param {import('ajv').ErrorObject} error */
function dotted({ instancePath, params }) {
  const keys = instancePath
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (typeof params.additionalProperty === 'string') keys.push(params.additionalProperty);
  return keys.map((key, index) => (/^\d+$/.test(key) ? `[${key}]` : `${index === 0 ? '' : '.'}${key}`)).join('');
}

/** @param {import('ajv').ErrorObject} error */
function describe({ keyword, message, params }) {
  if (keyword === 'additionalProperties') return 'unknown key';
  if (keyword === 'enum') return `must be one of ${params.allowedValues.join(', ')}`;
  return message ?? keyword;
}
