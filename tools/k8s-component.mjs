// @ts-check
/**
 * The files of one model's component (k8s/components/<name>): its worker, its ScaledObject, and how its folder reaches the
 * pods. The bundled models' components are this text as well.
 */
import { deployment, indent, lines, patch, replace, scalar } from './k8s-patches.mjs';

/**
 * @typedef {{ kind: 'image' }
 *   | { kind: 'volume', claim: string }
 *   | { kind: 'url', archives: readonly Archive[], size: string, cidr?: string }} Source where the model's folder comes from
 * @typedef {{ version: string, url: string, sha256: string }} Archive one version, packed
 * @typedef {object} ModelComponent
 * @property {string} name of the model, as callers know it
 * @property {string} slug of its objects in the cluster: the name, without dots and underscores
 * @property {Source} source
 * @property {number} min workers
 * @property {number} max
 * @property {string} cpu of one worker
 * @property {string} memory of one worker
 * @property {string} command what wrote it
 */

/** Each app's container, which is named like its image without `shoal-`. */
const READERS = ['api', 'webhooks'];

/** Denied to archives as to webhooks: private, shared, link-local and loopback networks. */
const PRIVATE_NETWORKS = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
];

/**
 * Path below k8s/components/<slug> → text.
 *
 * @param {ModelComponent} model
 * @returns {Record<string, string>}
 */
export function componentFiles(model) {
  const files = {
    'kustomization.yaml': component(model),
    'worker/kustomization.yaml': worker(model),
    'prometheus/kustomization.yaml': prometheus(model),
  };
  return model.source.kind === 'url' ? { ...files, 'network-policy.yaml': networkPolicy(model, model.source) } : files;
}

/** @param {ModelComponent} model */
function component(model) {
  const resources = ['worker', ...(model.source.kind === 'url' ? ['network-policy.yaml'] : [])];
  const patches = READERS.map((app) => ({ app, lines: podPatch(model, app) })).filter(({ lines }) => lines.length > 0);
  return lines(
    `# Written by: npm run k8s:add-model -- ${model.command}`,
    'apiVersion: kustomize.config.k8s.io/v1alpha1',
    'kind: Component',
    'resources:',
    ...resources.map((resource) => `  - ${resource}`),
    ...(patches.length > 0 ? ['patches:'] : []),
    ...patches.flatMap(({ app, lines }) => patch(`kind: Deployment\nname: ${app}`, deployment(app, lines))),
  );
}

/** @param {ModelComponent} model */
function worker(model) {
  const { name, slug, min, max, cpu, memory } = model;
  const own = [
    'containers:',
    '  - name: worker',
    '    env:',
    '      - name: SHOAL_MODELS',
    `        value: ${scalar(name)}`,
    '    resources:',
    ...['requests', 'limits'].flatMap((kind) => [
      `      ${kind}:`,
      `        cpu: ${scalar(cpu)}`,
      `        memory: ${scalar(memory)}`,
    ]),
  ];
  // Between none and one KEDA looks by itself; settings of that make it warn where there is always one.
  const always = [
    'spec:',
    ...['pollingInterval', 'cooldownPeriod', 'initialCooldownPeriod'].map((key) => `  ${key}: null`),
  ];
  return lines(
    'apiVersion: kustomize.config.k8s.io/v1beta1',
    'kind: Kustomization',
    'resources:',
    '  - ../../../worker',
    `nameSuffix: ${scalar(`-${slug}`)}`,
    'labels:',
    '  - pairs:',
    `      shoal/model: ${scalar(slug)}`,
    '    includeSelectors: true',
    '    includeTemplates: true',
    'patches:',
    ...patch('kind: Deployment', deployment('worker', ['spec:', ...indent(own, 2)])),
    ...(model.source.kind === 'image'
      ? []
      : patch('kind: Deployment', deployment('worker', podPatch(model, 'worker')))),
    ...patch('kind: ScaledObject', [
      ...replace('/spec/scaleTargetRef/name', `worker-${slug}`),
      ...replace('/spec/minReplicaCount', min),
      ...replace('/spec/maxReplicaCount', max),
      ...replace(
        '/spec/triggers/0/metadata/url',
        `http://api-internal.shoal.svc:9464/internal/autoscale/${encodeURIComponent(name)}`,
      ),
    ]),
    ...(min === 0
      ? []
      : patch('kind: ScaledObject', [
          'apiVersion: keda.sh/v1alpha1',
          'kind: ScaledObject',
          'metadata:',
          '  name: worker',
          ...always,
        ])),
  );
}

/** @param {ModelComponent} model */
function prometheus({ name, slug }) {
  const queues = `${name.replaceAll('.', '[.]')}[.][0-9]+[.].+`;
  return lines(
    '# Asks Prometheus instead of the API. Every replica of the API tells the same number, hence max.',
    'apiVersion: kustomize.config.k8s.io/v1alpha1',
    'kind: Component',
    'patches:',
    ...patch(`kind: ScaledObject\nname: worker-${slug}`, [
      '- op: replace',
      '  path: /spec/triggers/0',
      '  value:',
      '    type: prometheus',
      '    name: demand',
      '    metadata:',
      '      serverAddress: http://prometheus-operated.monitoring.svc:9090',
      `      query: sum(max by (queue) (shoal_autoscale_replicas_needed{queue=~"${queues}"}))`,
      '      threshold: "1"',
      '      # A number that is missing is a fault, not zero workers.',
      '      ignoreNullValues: "false"',
    ]),
  );
}

/**
 * How the model's folder reaches the pods of one app; nothing where it is in the image.
 *
 * @param {ModelComponent} model
 * @param {string} app
 */
function podPatch({ name, slug, source }, app) {
  if (source.kind === 'image') return [];
  const volume = `model-${slug}`;
  const mount = [`- name: ${volume}`, `  mountPath: /app/models/${name}`];
  const container = ['containers:', `  - name: ${app}`, '    volumeMounts:'];
  if (source.kind === 'volume') {
    return [
      'spec:',
      ...indent([...container, ...indent([...mount, `  subPath: ${scalar(name)}`, '  readOnly: true'], 6)], 2),
      '  volumes:',
      `    - name: ${volume}`,
      '      persistentVolumeClaim:',
      `        claimName: ${scalar(source.claim)}`,
      '        readOnly: true',
    ];
  }
  return [
    'metadata:',
    '  labels:',
    `    shoal/fetches-${slug}: "true"`,
    'spec:',
    '  initContainers:',
    ...source.archives.flatMap((archive) => indent(fetcher(archive, { name, slug, app, size: source.size, mount }), 4)),
    ...indent([...container, ...indent([...mount, '  readOnly: true'], 6)], 2),
    '  volumes:',
    `    - name: ${volume}`,
    '      emptyDir:',
    `        sizeLimit: ${scalar(source.size)}`,
  ];
}

/**
 * @param {Archive} archive
 * @param {{ name: string, slug: string, app: string, size: string, mount: readonly string[] }} pod
 */
function fetcher({ version, url, sha256 }, { name, slug, app, size, mount }) {
  return [
    `- name: fetch-${slug}-${version}`,
    `  image: shoal-${app}`,
    '  command: [node, apps/cli/dist/main.js, fetch-model]',
    '  args:',
    `    - ${scalar(`--url=${url}`)}`,
    `    - --sha256=${sha256}`,
    `    - --to=/app/models/${name}/${version}`,
    `    - --max-size=${size}`,
    '  resources:',
    '    requests:',
    '      cpu: 100m',
    '      memory: 256Mi',
    `      ephemeral-storage: ${scalar(size)}`,
    '    limits:',
    '      cpu: "1"',
    '      memory: 512Mi',
    `      ephemeral-storage: ${scalar(size)}`,
    '  securityContext:',
    '    allowPrivilegeEscalation: false',
    '    readOnlyRootFilesystem: true',
    '    capabilities:',
    '      drop: [ALL]',
    '  volumeMounts:',
    ...indent(mount, 4),
  ];
}

/**
 * @param {ModelComponent} model
 * @param {Extract<Source, { kind: 'url' }>} source
 */
function networkPolicy({ slug }, { archives, cidr }) {
  const ports = new Set(archives.map(({ url }) => portOf(url)));
  return lines(
    '# Pods that fetch the model may reach its server: a policy is for whole pods, so their apps could as well.',
    'apiVersion: networking.k8s.io/v1',
    'kind: NetworkPolicy',
    'metadata:',
    `  name: fetch-${slug}`,
    'spec:',
    '  podSelector:',
    '    matchLabels:',
    `      shoal/fetches-${slug}: "true"`,
    '  policyTypes: [Egress]',
    '  egress:',
    '    - to:',
    '        - ipBlock:',
    ...(cidr === undefined
      ? [
          '            cidr: 0.0.0.0/0',
          '            except:',
          ...PRIVATE_NETWORKS.map((net) => `              - ${net}`),
        ]
      : [`            cidr: ${scalar(cidr)}`]),
    '      ports:',
    ...[...ports].flatMap((port) => ['        - protocol: TCP', `          port: ${port}`]),
  );
}

/** @param {string} url */
function portOf(url) {
  const { port, protocol } = new URL(url);
  return port || (protocol === 'https:' ? '443' : '80');
}
