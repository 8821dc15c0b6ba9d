// @ts-check
/** Reading manifests: pods of workloads, containers of pods, what a selector selects. */

/** @typedef {import('./k8s-kustomize.mjs').Manifest} Manifest */
/** @typedef {Record<string, any>} Spec */

/**
 * @typedef {object} Workload
 * @property {Manifest} manifest
 * @property {string} name
 * @property {Record<string, string>} labels of its pods
 * @property {Spec} pod its pods' spec
 * @property {readonly { container: Spec, path: string, init: boolean }[]} containers
 */

/**
 * @param {readonly Manifest[]} manifests
 * @param {...string} kinds
 */
export function ofKind(manifests, ...kinds) {
  return manifests.filter(({ object }) => kinds.includes(object.kind));
}

/**
 * @param {readonly Manifest[]} manifests
 * @returns {Workload[]}
 */
export function workloads(manifests) {
  return ofKind(manifests, 'Deployment', 'StatefulSet').map((manifest) => {
    const { metadata, spec } = manifest.object.spec.template;
    const containers = ['initContainers', 'containers'].flatMap((list) =>
      (spec[list] ?? []).map((/** @type {Spec} */ container, /** @type {number} */ index) => ({
        container,
        path: `spec.template.spec.${list}[${index}]`,
        init: list === 'initContainers',
      })),
    );
    return { manifest, name: manifest.object.metadata.name, labels: metadata.labels ?? {}, pod: spec, containers };
  });
}

/**
 * Whether a label selector selects these labels. An empty one selects everything.
 *
 * @param {Spec | undefined} selector
 * @param {Record<string, string>} labels
 */
export function selects(selector, labels) {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  const equal = Object.entries(matchLabels).every(([key, value]) => labels[key] === value);
  return equal && matchExpressions.every((/** @type {Spec} */ expression) => holds(expression, labels));
}

/**
 * @param {Spec} expression
 * @param {Record<string, string>} labels
 */
function holds({ key, operator, values = [] }, labels) {
  const value = labels[key];
  if (operator === 'Exists') return value !== undefined;
  if (operator === 'DoesNotExist') return value === undefined;
  return (value !== undefined && values.includes(value)) === (operator === 'In');
}

/**
 * The named ports of a pod.
 *
 * @param {Workload} workload
 * @returns {Set<string>}
 */
export function portNames({ containers }) {
  return new Set(
    containers.flatMap(({ container }) => (container.ports ?? []).map((/** @type {Spec} */ port) => port.name)),
  );
}

/**
 * Whether a pod listens on a port, given by name or number.
 *
 * @param {Workload} workload
 * @param {string | number} port
 */
export function hasPort(workload, port) {
  if (typeof port === 'string') return portNames(workload).has(port);
  return workload.containers.some(({ container }) =>
    (container.ports ?? []).some((/** @type {Spec} */ { containerPort }) => containerPort === port),
  );
}

/**
 * The values that a container gets from ConfigMaps and literals.
 *
 * @param {Spec} container
 * @param {readonly Manifest[]} manifests
 * @returns {Record<string, string>}
 */
export function environment(container, manifests) {
  const maps = new Map(ofKind(manifests, 'ConfigMap').map(({ object }) => [object.metadata.name, object.data ?? {}]));
  /** @type {Record<string, string>} */
  const env = {};
  for (const { configMapRef } of container.envFrom ?? []) Object.assign(env, maps.get(configMapRef?.name));
  for (const { name, value } of container.env ?? []) if (value !== undefined) env[name] = value;
  return env;
}

/** A time span as Shoal's variables have it, in seconds. */
const SECONDS = { ms: 0.001, s: 1, m: 60, h: 3600 };

/**
 * @param {string} text such as `25s`
 */
export function seconds(text) {
  const [, number, unit = 'ms'] = /^([\d.]+)(ms|s|m|h)?$/.exec(text) ?? [];
  return Number(number) * SECONDS[/** @type {keyof typeof SECONDS} */ (unit)];
}
