// @ts-check
/** All checks of the manifests in k8s/, and of docker-compose.yml against its schema. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkCompose, schemaChecker } from './k8s-check.mjs';
import { render } from './k8s-kustomize.mjs';
import { checkPolicies } from './k8s-policies.mjs';
import { checkReferences } from './k8s-references.mjs';
import { checkScaling } from './k8s-scaling.mjs';
import { ROOT } from './root.mjs';

/** @typedef {import('./k8s-check.mjs').Problem} Problem */
/** @typedef {import('./k8s-kustomize.mjs').Kustomize} Kustomize */
/** @typedef {import('./k8s-kustomize.mjs').Manifest} Manifest */

/** Compiled once: that takes longer than all of the checks. */
let checker = /** @type {ReturnType<typeof schemaChecker> | undefined} */ (undefined);

/** @param {string} [root] of the repository */
export function overlaysOf(root = ROOT) {
  const folder = join(root, 'k8s/overlays');
  return readdirSync(folder).filter((name) => existsSync(join(folder, name, 'kustomization.yaml')));
}

/**
 * What is wrong with the objects of one overlay.
 *
 * @param {readonly Manifest[]} manifests
 * @param {string} [root]
 * @returns {Promise<Problem[]>}
 */
export async function checkManifests(manifests, root = ROOT) {
  checker ??= schemaChecker();
  const checkSchemas = await checker;
  const faults = checkSchemas(manifests);
  // The other checks read objects of the right shape.
  if (faults.length > 0) return faults;
  const external = JSON.parse(readFileSync(join(root, 'k8s/external.json'), 'utf8'));
  return [...checkPolicies(manifests), ...checkReferences(manifests, external), ...checkScaling(manifests)];
}

/**
 * @param {string} [root]
 * @returns {Promise<Problem[]>}
 */
export async function checkComposeFile(root = ROOT) {
  const name = 'docker-compose.yml';
  const file = join(root, name);
  if (!existsSync(file)) return [];
  const { CORE_SCHEMA, load, mergeTag } = await import('js-yaml');
  return await checkCompose(load(readFileSync(file, 'utf8'), { schema: CORE_SCHEMA.withTags(mergeTag) }), name);
}

/**
 * @param {Kustomize} kustomize
 * @param {string} overlay
 * @param {string} [root]
 */
export async function checkOverlay(kustomize, overlay, root = ROOT) {
  const manifests = await render(kustomize, overlay, root);
  return { manifests, problems: await checkManifests(manifests, root) };
}

/** @param {Problem} problem */
export function formatProblem({ file, object, path, message }) {
  return `${file}: ${object}${path === '' ? '' : ` ${path}`}: ${message}`;
}
