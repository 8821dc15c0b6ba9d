// @ts-check
/** Who counts the replicas of what: one counter for each workload, and ScaledObjects that do what they say. */
import { problem } from './k8s-check.mjs';
import { ofKind } from './k8s-objects.mjs';

/** @typedef {import('./k8s-kustomize.mjs').Manifest} Manifest */
/** @typedef {import('./k8s-check.mjs').Problem} Problem */
/** @typedef {import('./k8s-objects.mjs').Spec} Spec */

/**
 * @param {readonly Manifest[]} manifests
 * @returns {Problem[]}
 */
export function checkScaling(manifests) {
  const scalers = ofKind(manifests, 'HorizontalPodAutoscaler', 'ScaledObject');
  return [
    ...ofKind(manifests, 'Deployment', 'StatefulSet').flatMap((manifest) => ofReplicas(manifest, scalers)),
    ...scalers.flatMap((manifest) => ofTarget(manifest, manifests)),
    ...ofKind(manifests, 'ScaledObject').flatMap((manifest) => ofScaledObject(manifest, manifests)),
  ];
}

/**
 * @param {Manifest} manifest
 * @param {readonly Manifest[]} scalers
 */
function ofReplicas(manifest, scalers) {
  const own = scalers.filter(({ object }) => targetOf(object).name === manifest.object.metadata.name);
  const set = manifest.object.spec.replicas !== undefined;
  if (own.length > 1) return [problem(manifest, '', `${own.length} autoscalers count its replicas; they would fight`)];
  if (own.length === 1 && set)
    return [problem(manifest, 'spec.replicas', 'must be left out: an apply would reset the autoscaler’s count')];
  return own.length === 0 && !set ? [problem(manifest, 'spec.replicas', 'must be set: no autoscaler counts them')] : [];
}

/**
 * @param {Manifest} manifest
 * @param {readonly Manifest[]} manifests
 */
function ofTarget(manifest, manifests) {
  const { kind, name } = targetOf(manifest.object);
  const there = ofKind(manifests, kind).some(({ object }) => object.metadata.name === name);
  return there ? [] : [problem(manifest, 'spec.scaleTargetRef', `there is no ${kind} ${name}`)];
}

/** @param {Spec} object */
function targetOf({ spec }) {
  return { kind: spec.scaleTargetRef?.kind ?? 'Deployment', name: spec.scaleTargetRef?.name };
}

/**
 * What KEDA's own validation lets pass or only finds out when it scales.
 *
 * @param {Manifest} manifest
 * @param {readonly Manifest[]} manifests
 */
function ofScaledObject(manifest, manifests) {
  const { triggers = [], advanced, fallback, minReplicaCount = 0, maxReplicaCount = 100 } = manifest.object.spec;
  const at = 'spec.advanced.scalingModifiers';
  /** @type {Problem[]} */
  const problems = [];
  /** @param {string} path @param {string} message */
  const report = (path, message) => problems.push(problem(manifest, path, message));
  if (minReplicaCount > maxReplicaCount) report('spec.minReplicaCount', 'must not be more than maxReplicaCount');
  if (minReplicaCount > 0) {
    for (const key of ['pollingInterval', 'cooldownPeriod', 'initialCooldownPeriod']) {
      if (manifest.object.spec[key] !== undefined) report(`spec.${key}`, 'must be left out: the last worker stays');
    }
  }
  if (fallback === undefined) report('spec.fallback', 'must be set: without it a broken trigger stops all scaling');
  else if (fallback.behavior !== 'currentReplicasIfHigher' || !(fallback.replicas > 0)) {
    report('spec.fallback', 'must keep what runs: behavior currentReplicasIfHigher, replicas from 1');
  }
  const modifiers = advanced?.scalingModifiers;
  if (modifiers === undefined) {
    if (triggers.length !== 1) report(`${at}.formula`, 'must be set: without it the greatest of all triggers counts');
  } else {
    const { formula = '', target = '' } = modifiers;
    if (!/^[1-9]\d*$/.test(target))
      report(`${at}.target`, 'must be a whole number from 1: otherwise KEDA ignores the fallback');
    const names = triggers.map((/** @type {Spec} */ { name }) => name);
    const used = new Set(formula.match(/[a-z_]\w*/gi)?.filter((/** @type {string} */ word) => word !== 'max') ?? []);
    for (const [index, name] of names.entries()) {
      if (name === undefined || !used.has(name))
        report(`spec.triggers[${index}].name`, 'must be a name that the formula uses');
      if (names.indexOf(name) !== index) report(`spec.triggers[${index}].name`, 'is another trigger’s as well');
    }
    for (const name of used) if (!names.includes(name)) report(`${at}.formula`, `there is no trigger ${name}`);
  }
  for (const [index, trigger] of triggers.entries()) {
    problems.push(...ofTrigger(manifest, `spec.triggers[${index}]`, trigger, manifests));
  }
  return problems;
}

/**
 * @param {Manifest} manifest
 * @param {string} path
 * @param {Spec} trigger
 * @param {readonly Manifest[]} manifests
 */
function ofTrigger(manifest, path, { type, metadata, authenticationRef }, manifests) {
  /** @type {Problem[]} */
  const problems = [];
  /** @param {string} key @param {string} message */
  const report = (key, message) => problems.push(problem(manifest, `${path}.${key}`, message));
  const reference = authenticationRef?.name;
  const known = ofKind(manifests, 'TriggerAuthentication').some(({ object }) => object.metadata.name === reference);
  if (reference !== undefined && !known) report('authenticationRef', `there is no TriggerAuthentication ${reference}`);
  if (type === 'metrics-api') {
    if (!servesUrl(metadata.url, manifests)) report('metadata.url', 'leads to no Service and port of these manifests');
    if (metadata.authMode === 'bearer' && reference === undefined)
      report('authenticationRef', 'must be set for a bearer token');
  } else if (type === 'prometheus') {
    if (metadata.ignoreNullValues !== 'false')
      report('metadata.ignoreNullValues', 'must be "false": a missing series would count as 0');
  }
  return problems;
}

/**
 * @param {string} url
 * @param {readonly Manifest[]} manifests
 */
function servesUrl(url, manifests) {
  const { hostname, port } = URL.canParse(url) ? new URL(url) : { hostname: '', port: '' };
  const [name, namespace, svc] = hostname.split('.');
  return ofKind(manifests, 'Service').some(
    ({ object: { metadata, spec } }) =>
      metadata.name === name &&
      metadata.namespace === namespace &&
      svc === 'svc' &&
      spec.ports.some((/** @type {Spec} */ entry) => String(entry.port) === port),
  );
}
