// @ts-check
/** What every pod of ours keeps to: no privileges, bounded resources, probes, fixed images, a network that is closed. */
import { problem } from './k8s-check.mjs';
import { environment, ofKind, seconds, selects, workloads } from './k8s-objects.mjs';

/** @typedef {import('./k8s-kustomize.mjs').Manifest} Manifest */
/** @typedef {import('./k8s-check.mjs').Problem} Problem */
/** @typedef {import('./k8s-objects.mjs').Workload} Workload */
/** @typedef {import('./k8s-objects.mjs').Spec} Spec */
/** @typedef {(path: string, message: string) => void} Report */

const COMPONENT = 'app.kubernetes.io/component';
/** Pods that are there to give way run nothing: no probes, no budget. */
const PLACEHOLDER = 'placeholder';
/** The apps of ours; each needs Redis. */
const APPS = ['api', 'worker', 'webhooks'];
/** Networks that nothing may reach by a rule for the public internet. */
const PRIVATE = ['10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'];
const PRIVATE_V6 = ['fc00::/7', 'fe80::/10'];

/**
 * @param {readonly Manifest[]} manifests
 * @returns {Problem[]}
 */
export function checkPolicies(manifests) {
  /** @type {Problem[]} */
  const problems = [];
  for (const workload of workloads(manifests)) {
    /** @type {Report} */
    const report = (path, message) => problems.push(problem(workload.manifest, path, message));
    checkPod(workload, report);
    for (const { container, path, init } of workload.containers) {
      checkSecurity(container, workload.pod, path, report);
      checkResources(container, path, report);
      checkImage(container, path, report);
      if (!init && workload.labels[COMPONENT] !== PLACEHOLDER) checkProbes(container, path, report);
      checkGrace(workload, container, manifests, report);
    }
    checkNetwork(workload, manifests, report);
    checkBudget(workload, manifests, report);
  }
  for (const manifest of ofKind(manifests, 'ServiceAccount')) {
    if (manifest.object.automountServiceAccountToken === false) continue;
    problems.push(problem(manifest, 'automountServiceAccountToken', 'must be false: no app talks to Kubernetes'));
  }
  for (const manifest of ofKind(manifests, 'NetworkPolicy')) checkEgress(manifest, problems);
  for (const manifest of ofKind(manifests, 'Secret'))
    problems.push(problem(manifest, '', 'secrets do not belong into manifests'));
  return problems;
}

/**
 * @param {Workload} workload
 * @param {Report} report
 */
function checkPod({ pod }, report) {
  const path = 'spec.template.spec';
  if (pod.automountServiceAccountToken !== false) report(`${path}.automountServiceAccountToken`, 'must be false');
  for (const key of ['hostNetwork', 'hostPID', 'hostIPC']) if (pod[key]) report(`${path}.${key}`, 'must not be set');
  for (const [index, volume] of (pod.volumes ?? []).entries()) {
    if (volume.hostPath) report(`${path}.volumes[${index}].hostPath`, 'must not be used');
    if (volume.emptyDir && volume.emptyDir.sizeLimit === undefined) {
      report(`${path}.volumes[${index}].emptyDir.sizeLimit`, 'must be set: a pod must not fill its node');
    }
  }
}

/**
 * @param {Spec} container
 * @param {Spec} pod
 * @param {string} at
 * @param {Report} report
 */
function checkSecurity(container, pod, at, report) {
  const path = `${at}.securityContext`;
  const own = container.securityContext ?? {};
  const both = { ...pod.securityContext, ...own };
  if (both.runAsNonRoot !== true) report(`${path}.runAsNonRoot`, 'must be true, here or for the pod');
  if (!(both.runAsUser > 0)) report(`${path}.runAsUser`, 'must be set and not 0, here or for the pod');
  if (own.allowPrivilegeEscalation !== false) report(`${path}.allowPrivilegeEscalation`, 'must be false');
  if (own.readOnlyRootFilesystem !== true) report(`${path}.readOnlyRootFilesystem`, 'must be true');
  if (own.privileged) report(`${path}.privileged`, 'must not be set');
  if (!own.capabilities?.drop?.includes('ALL')) report(`${path}.capabilities.drop`, 'must be [ALL]');
  if (own.capabilities?.add !== undefined) report(`${path}.capabilities.add`, 'must not be set');
  if (both.seccompProfile?.type !== 'RuntimeDefault')
    report(`${path}.seccompProfile`, 'must be RuntimeDefault, here or for the pod');
}

/**
 * @param {Spec} container
 * @param {string} path
 * @param {Report} report
 */
function checkResources({ resources = {} }, path, report) {
  for (const kind of ['requests', 'limits']) {
    for (const resource of ['cpu', 'memory', 'ephemeral-storage']) {
      if (resources[kind]?.[resource] === undefined) report(`${path}.resources.${kind}.${resource}`, 'must be set');
    }
  }
}

/**
 * @param {Spec} container
 * @param {string} path
 * @param {Report} report
 */
function checkImage({ image = '' }, path, report) {
  if (/@sha256:[0-9a-f]{64}$/.test(image)) return;
  const tag = /:([\w][\w.-]*)$/.exec(image)?.[1];
  if (tag === undefined || tag === 'latest')
    report(`${path}.image`, `${image} needs a tag other than latest, or a digest`);
}

/**
 * @param {Spec} container
 * @param {string} path
 * @param {Report} report
 */
function checkProbes(container, path, report) {
  for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
    if (container[probe] === undefined) report(`${path}.${probe}`, 'must be set');
  }
  if (container.livenessProbe?.httpGet?.path === '/readyz') {
    report(
      `${path}.livenessProbe.httpGet.path`,
      'must not ask for readiness: without Redis every pod would be restarted',
    );
  }
}

/**
 * @param {Workload} workload
 * @param {Spec} container
 * @param {readonly Manifest[]} manifests
 * @param {Report} report
 */
function checkGrace({ pod }, container, manifests, report) {
  const drain = environment(container, manifests).SHOAL_DRAIN_TIMEOUT;
  if (drain === undefined) return;
  const needed = seconds(drain) + (container.lifecycle?.preStop?.sleep?.seconds ?? 0);
  if ((pod.terminationGracePeriodSeconds ?? 30) > needed) return;
  report(
    'spec.template.spec.terminationGracePeriodSeconds',
    `must be more than the ${needed} s that draining may take`,
  );
}

/**
 * @param {Workload} workload
 * @param {readonly Manifest[]} manifests
 * @param {Report} report
 */
function checkNetwork({ labels }, manifests, report) {
  const policies = ofKind(manifests, 'NetworkPolicy').map(({ object }) => object.spec);
  const own = policies.filter(({ podSelector }) => selects(podSelector, labels));
  for (const type of ['Ingress', 'Egress']) {
    const denied = own.some((policy) => policy.policyTypes?.includes(type) && policy[type.toLowerCase()] === undefined);
    if (!denied) report('', `no NetworkPolicy denies its ${type} but for what others allow`);
  }
  const ports = own
    .flatMap(({ egress = [] }) => egress)
    .flatMap(({ ports = [] }) => ports.map((/** @type {Spec} */ { port }) => port));
  const needed = [['DNS', 53], ...(APPS.includes(labels[COMPONENT] ?? '') ? [['Redis', 6379]] : [])];
  for (const [name, port] of needed) if (!ports.includes(port)) report('', `no NetworkPolicy lets it reach ${name}`);
}

/**
 * @param {Workload} workload
 * @param {readonly Manifest[]} manifests
 * @param {Report} report
 */
function checkBudget({ manifest, labels }, manifests, report) {
  if (manifest.object.kind !== 'Deployment' || labels[COMPONENT] === PLACEHOLDER) return;
  const budgets = ofKind(manifests, 'PodDisruptionBudget').filter(({ object }) =>
    selects(object.spec.selector, labels),
  );
  if (budgets.length !== 1) report('', `${budgets.length} PodDisruptionBudgets select its pods; it needs one`);
}

/**
 * @param {Manifest} manifest
 * @param {Problem[]} problems
 */
function checkEgress(manifest, problems) {
  const { egress = [] } = manifest.object.spec;
  for (const [rule, { to, ports }] of egress.entries()) {
    const path = `spec.egress[${rule}]`;
    if (to === undefined || to.length === 0) problems.push(problem(manifest, path, 'must say where to'));
    if (ports === undefined) problems.push(problem(manifest, path, 'must say which ports'));
    for (const [index, { ipBlock }] of (to ?? []).entries()) {
      if (!ipBlock?.cidr.endsWith('/0')) continue;
      const networks = ipBlock.cidr.includes(':') ? PRIVATE_V6 : PRIVATE;
      const open = networks.filter((network) => !ipBlock.except?.includes(network));
      if (open.length === 0) continue;
      problems.push(problem(manifest, `${path}.to[${index}].ipBlock.except`, `must have ${open.join(', ')}`));
    }
  }
}
