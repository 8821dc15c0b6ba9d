// @ts-check
/** Names that must lead somewhere: what Services, policies, budgets and monitors refer to is in the manifests. */
import { problem } from './k8s-check.mjs';
import { hasPort, ofKind, selects, workloads } from './k8s-objects.mjs';
import { Lookup, ofPod } from './k8s-pod-references.mjs';

/** @typedef {import('./k8s-kustomize.mjs').Manifest} Manifest */
/** @typedef {import('./k8s-check.mjs').Problem} Problem */
/** @typedef {import('./k8s-objects.mjs').Workload} Workload */
/** @typedef {import('./k8s-objects.mjs').Spec} Spec */
/** @typedef {import('./k8s-pod-references.mjs').External} External */

/**
 * @param {readonly Manifest[]} manifests of one overlay
 * @param {External} external k8s/external.json
 * @returns {Problem[]}
 */
export function checkReferences(manifests, external) {
  const lookup = new Lookup(manifests, external);
  const pods = workloads(manifests);
  return [
    ...duplicates(manifests),
    ...pods.flatMap((workload) => ofPod(workload, lookup)),
    ...pods.flatMap((workload) => ofWorkload(workload, pods)),
    ...ofKind(manifests, 'Service').flatMap((manifest) => ofService(manifest, pods)),
    ...ofKind(manifests, 'Ingress').flatMap((manifest) => ofIngress(manifest, lookup)),
    ...ofKind(manifests, 'NetworkPolicy').flatMap((manifest) => ofNetworkPolicy(manifest, pods)),
    ...ofKind(manifests, 'PodDisruptionBudget').flatMap((manifest) =>
      ofSelector(manifest, manifest.object.spec.selector, pods),
    ),
    ...ofKind(manifests, 'PodMonitor', 'ServiceMonitor').flatMap((manifest) => ofMonitor(manifest, manifests, pods)),
    ...ofKind(manifests, 'TriggerAuthentication').flatMap((manifest) =>
      manifest.object.spec.secretTargetRef.flatMap((/** @type {Spec} */ { name, key }, /** @type {number} */ index) =>
        lookup.problems(manifest, `spec.secretTargetRef[${index}]`, 'Secret', name, [key]),
      ),
    ),
  ];
}

/** @param {readonly Manifest[]} manifests */
function duplicates(manifests) {
  const seen = new Set();
  return manifests
    .filter(({ object }) => {
      const id = `${object.kind} ${object.metadata.namespace} ${object.metadata.name}`;
      return seen.has(id) || !seen.add(id);
    })
    .map((manifest) => problem(manifest, 'metadata.name', 'is there twice'));
}

/**
 * @param {Workload} workload
 * @param {readonly Workload[]} all
 */
function ofWorkload({ manifest, labels, name }, all) {
  const { selector } = manifest.object.spec;
  if (!selects(selector, labels)) return [problem(manifest, 'spec.selector', 'does not select its own pods')];
  const others = all.filter((other) => other.name !== name && selects(selector, other.labels));
  return others.map((other) => problem(manifest, 'spec.selector', `selects the pods of ${other.name} as well`));
}

/**
 * @param {Manifest} manifest
 * @param {readonly Workload[]} pods
 */
function ofService(manifest, pods) {
  const { selector, ports } = manifest.object.spec;
  const selected = pods.filter(({ labels }) => selects({ matchLabels: selector }, labels));
  if (selected.length === 0) return [problem(manifest, 'spec.selector', 'selects no pods')];
  return ports.flatMap((/** @type {Spec} */ { port, targetPort = port }, /** @type {number} */ index) =>
    selected.some((pod) => hasPort(pod, targetPort))
      ? []
      : [problem(manifest, `spec.ports[${index}].targetPort`, `its pods have no port ${targetPort}`)],
  );
}

/**
 * @param {Manifest} manifest
 * @param {Lookup} lookup
 */
function ofIngress(manifest, lookup) {
  const { rules = [], tls = [] } = manifest.object.spec;
  const backends = rules.flatMap((/** @type {Spec} */ { http }, /** @type {number} */ rule) =>
    http.paths.map((/** @type {Spec} */ { backend }, /** @type {number} */ index) => ({
      path: `spec.rules[${rule}].http.paths[${index}].backend`,
      service: backend.service,
    })),
  );
  return [
    ...backends.flatMap((/** @type {Spec} */ { path, service }) => {
      const ports = lookup.find('Service', service.name)?.spec.ports;
      if (ports === undefined) return [problem(manifest, path, `there is no Service ${service.name}`)];
      const found = ports.some(
        (/** @type {Spec} */ { name, port }) => name === service.port.name || port === service.port.number,
      );
      return found ? [] : [problem(manifest, path, `Service ${service.name} has no such port`)];
    }),
    ...tls.flatMap((/** @type {Spec} */ { secretName }, /** @type {number} */ index) =>
      lookup.problems(manifest, `spec.tls[${index}]`, 'Secret', secretName),
    ),
  ];
}

/**
 * @param {Manifest} manifest
 * @param {readonly Workload[]} pods
 */
function ofNetworkPolicy(manifest, pods) {
  const { podSelector, ingress = [], egress = [] } = manifest.object.spec;
  const subject = pods.filter(({ labels }) => selects(podSelector, labels));
  if (subject.length === 0) return [problem(manifest, 'spec.podSelector', 'selects no pods')];
  const peers = [
    ...ingress.flatMap((/** @type {Spec} */ { from = [] }) => from),
    ...egress.flatMap((/** @type {Spec} */ { to = [] }) => to),
  ];
  const nobody = peers.filter(
    (/** @type {Spec} */ peer) =>
      peer.podSelector && !peer.namespaceSelector && !pods.some(({ labels }) => selects(peer.podSelector, labels)),
  );
  const ports = ingress.flatMap((/** @type {Spec} */ { ports = [] }) =>
    ports.map((/** @type {Spec} */ { port }) => port),
  );
  const closed = ports.filter((/** @type {string} */ port) => !subject.some((pod) => hasPort(pod, port)));
  return [
    ...nobody.map((/** @type {Spec} */ { podSelector }) =>
      problem(manifest, 'spec', `${JSON.stringify(podSelector)} selects no pods`),
    ),
    ...closed.map((/** @type {string} */ port) => problem(manifest, 'spec.ingress', `its pods have no port ${port}`)),
  ];
}

/**
 * @param {Manifest} manifest
 * @param {Spec} selector
 * @param {readonly Workload[]} pods
 */
function ofSelector(manifest, selector, pods) {
  return pods.some(({ labels }) => selects(selector, labels))
    ? []
    : [problem(manifest, 'spec.selector', 'selects no pods')];
}

/**
 * @param {Manifest} manifest
 * @param {readonly Manifest[]} manifests
 * @param {readonly Workload[]} pods
 */
function ofMonitor(manifest, manifests, pods) {
  const { selector, endpoints, podMetricsEndpoints } = manifest.object.spec;
  const services = ofKind(manifests, 'Service').filter(({ object }) => selects(selector, object.metadata.labels ?? {}));
  const selected = pods.filter(({ labels }) => selects(selector, labels));
  const names =
    endpoints === undefined
      ? selected.flatMap(({ containers }) => containers.flatMap(({ container }) => container.ports ?? []))
      : services.flatMap(({ object }) => object.spec.ports);
  if (names.length === 0) return [problem(manifest, 'spec.selector', 'selects nothing that has a port')];
  const known = new Set(names.map(({ name }) => name));
  return (endpoints ?? podMetricsEndpoints)
    .filter((/** @type {Spec} */ { port }) => !known.has(port))
    .map((/** @type {Spec} */ { port }) => problem(manifest, 'spec', `there is no port ${port}`));
}
