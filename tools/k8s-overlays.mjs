// @ts-check
/** Writes a model's component into k8s/components and lists it in overlays. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { componentFiles } from './k8s-component.mjs';
import { UserError } from './user-error.mjs';

/** @typedef {import('./k8s-component.mjs').ModelComponent} ModelComponent */

/** What is built on the cpu overlay has a part of its own for each of its models. */
const BUILT_ON_CPU = [
  { overlay: 'prometheus', list: 'components', part: 'prometheus' },
  { overlay: 'spot/base', list: 'resources', part: 'worker' },
];

const EXTERNAL = 'k8s/external.json';
const MARK = '# Written by: npm run k8s:add-model -- ';

/**
 * Returns the paths that were written, relative to `root`.
 *
 * @param {ModelComponent} model
 * @param {{ overlays: readonly string[], replace: boolean, root: string }} options
 */
export function addModel(model, { overlays, replace, root }) {
  const folder = `k8s/components/${model.slug}`;
  const first = join(root, folder, 'kustomization.yaml');
  if (existsSync(join(root, folder))) {
    const ours = existsSync(first) && readFileSync(first, 'utf8').startsWith(MARK);
    if (!ours) throw new UserError(`${folder} is not a model's component: give --as <name>.`);
    if (!replace) throw new UserError(`${folder} is there already: --replace writes it anew.`);
    rmSync(join(root, folder), { recursive: true });
  }
  const written = Object.entries(componentFiles(model)).map(([path, text]) => {
    const file = `${folder}/${path}`;
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
    return file;
  });
  const entries = [
    ...overlays.map((overlay) => ({ overlay, list: 'components', entry: model.slug })),
    ...(overlays.includes('cpu') ? BUILT_ON_CPU : []).map(({ part, ...at }) => ({
      ...at,
      entry: `${model.slug}/${part}`,
    })),
  ];
  for (const { overlay, list, entry } of entries) {
    const file = `k8s/overlays/${overlay}/kustomization.yaml`;
    const text = readFileSync(join(root, file), 'utf8');
    const listed = addToList(text, list, `${relative(dirname(file), 'k8s/components')}/${entry}`);
    if (listed === text) continue;
    writeFileSync(join(root, file), listed);
    written.push(file);
  }
  if (model.source.kind === 'volume' && declareClaim(join(root, EXTERNAL), model.source.claim)) written.push(EXTERNAL);
  return written;
}

/**
 * Declares a PersistentVolumeClaim as one that the cluster has; false where it is declared already.
 *
 * @param {string} file
 * @param {string} claim
 */
function declareClaim(file, claim) {
  const external = JSON.parse(readFileSync(file, 'utf8'));
  if (external.PersistentVolumeClaim[claim] !== undefined) return false;
  external.PersistentVolumeClaim[claim] = '';
  writeFileSync(file, `${JSON.stringify(external, null, 2)}\n`);
  return true;
}

/**
 * A kustomization with one more entry at the end of one of its lists, which is made where it is not there.
 *
 * @param {string} text
 * @param {string} list
 * @param {string} path
 */
export function addToList(text, list, path) {
  const lines = text.split('\n');
  if (lines.includes(`  - ${path}`)) return text;
  const start = lines.indexOf(`${list}:`);
  if (start === -1) return `${text}${list}:\n  - ${path}\n`;
  let end = start + 1;
  while (/^ +(- |#)/.test(lines[end] ?? '')) end++;
  return [...lines.slice(0, end), `  - ${path}`, ...lines.slice(end)].join('\n');
}
