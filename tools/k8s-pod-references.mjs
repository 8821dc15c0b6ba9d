// @ts-check
/** What pods refer to: ConfigMaps, Secrets and claims with their keys, accounts, volumes, ports. */
import { problem } from './k8s-check.mjs';
import { ofKind } from './k8s-objects.mjs';

/** @typedef {import('./k8s-kustomize.mjs').Manifest} Manifest */
/** @typedef {import('./k8s-check.mjs').Problem} Problem */
/** @typedef {import('./k8s-objects.mjs').Workload} Workload */
/** @typedef {import('./k8s-objects.mjs').Spec} Spec */

/** @typedef {Record<string, Record<string, string>>} External kind → name → keys, of what a cluster has already */

/** What there is, by kind and name. */
export class Lookup {
  /**
   * @param {readonly Manifest[]} manifests
   * @param {External} external
   */
  constructor(manifests, external) {
    this.manifests = manifests;
    this.external = external;
  }

  /**
   * @param {string} kind
   * @param {string} name
   */
  find(kind, name) {
    return ofKind(this.manifests, kind).find(({ object }) => object.metadata.name === name)?.object;
  }

  /**
   * What is wrong with a reference to an object and keys of it.
   *
   * @param {Manifest} manifest
   * @param {string} path
   * @param {string} kind
   * @param {string} name
   * @param {readonly string[]} keys
   * @returns {Problem[]}
   */
  problems(manifest, path, kind, name, keys = []) {
    const object = this.find(kind, name);
    const known =
      object === undefined
        ? this.external[kind]?.[name]?.split(' ')
        : Object.keys({ ...object.data, ...object.binaryData });
    if (known === undefined) {
      return [problem(manifest, path, `there is no ${kind} ${name}, and k8s/external.json does not declare it`)];
    }
    return keys
      .filter((key) => !known.includes(key))
      .map((key) => problem(manifest, path, `${kind} ${name} has no key ${key}`));
  }
}

/**
 * @param {Workload} workload
 * @param {Lookup} lookup
 */
export function ofPod({ manifest, pod, containers }, lookup) {
  const at = 'spec.template.spec';
  /** @type {Problem[]} */
  const problems = [];
  /** @param {string} path @param {string} kind @param {string | undefined} name @param {readonly string[]} [keys] */
  const need = (path, kind, name, keys) => {
    if (name !== undefined) problems.push(...lookup.problems(manifest, path, kind, name, keys));
  };
  need(`${at}.serviceAccountName`, 'ServiceAccount', pod.serviceAccountName);
  need(`${at}.priorityClassName`, 'PriorityClass', pod.priorityClassName);
  for (const [index, volume] of (pod.volumes ?? []).entries()) {
    const path = `${at}.volumes[${index}]`;
    need(`${path}.persistentVolumeClaim`, 'PersistentVolumeClaim', volume.persistentVolumeClaim?.claimName);
    need(`${path}.configMap`, 'ConfigMap', volume.configMap?.name, keysOf(volume.configMap));
    need(`${path}.secret`, 'Secret', volume.secret?.secretName, keysOf(volume.secret));
    for (const [part, source] of (volume.projected?.sources ?? []).entries()) {
      need(
        `${path}.projected.sources[${part}].configMap`,
        'ConfigMap',
        source.configMap?.name,
        keysOf(source.configMap),
      );
      need(`${path}.projected.sources[${part}].secret`, 'Secret', source.secret?.name, keysOf(source.secret));
    }
  }
  const volumes = new Set((pod.volumes ?? []).map((/** @type {Spec} */ { name }) => name));
  const templates = (manifest.object.spec.volumeClaimTemplates ?? []).map(
    (/** @type {Spec} */ { metadata }) => metadata.name,
  );
  const mounted = new Set(
    containers.flatMap(({ container }) => (container.volumeMounts ?? []).map((/** @type {Spec} */ { name }) => name)),
  );
  for (const name of mounted) {
    if (!volumes.has(name) && !templates.includes(name))
      problems.push(problem(manifest, at, `mounts ${name}, which is no volume`));
  }
  for (const name of volumes)
    if (!mounted.has(name)) problems.push(problem(manifest, `${at}.volumes`, `nothing mounts ${name}`));
  for (const { container, path } of containers) {
    for (const [index, { configMapRef, secretRef }] of (container.envFrom ?? []).entries()) {
      need(`${path}.envFrom[${index}]`, 'ConfigMap', configMapRef?.name);
      need(`${path}.envFrom[${index}]`, 'Secret', secretRef?.name);
    }
    for (const [index, { valueFrom = {} }] of (container.env ?? []).entries()) {
      const { configMapKeyRef: map, secretKeyRef: secret } = valueFrom;
      need(`${path}.env[${index}]`, 'ConfigMap', map?.name, [map?.key]);
      need(`${path}.env[${index}]`, 'Secret', secret?.name, [secret?.key]);
    }
    problems.push(...ofProbes(manifest, container, path));
  }
  return problems;
}

/** @param {Spec | undefined} source */
function keysOf(source) {
  return (source?.items ?? []).map((/** @type {Spec} */ { key }) => key);
}

/**
 * @param {Manifest} manifest
 * @param {Spec} container
 * @param {string} path
 */
function ofProbes(manifest, container, path) {
  const names = (container.ports ?? []).map((/** @type {Spec} */ { name }) => name);
  return ['startupProbe', 'readinessProbe', 'livenessProbe'].flatMap((probe) => {
    const port = (container[probe]?.httpGet ?? container[probe]?.tcpSocket)?.port;
    if (typeof port !== 'string' || names.includes(port)) return [];
    return [problem(manifest, `${path}.${probe}`, `the container has no port ${port}`)];
  });
}
