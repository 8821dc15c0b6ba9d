/** `npm run k8s:validate`: every overlay is valid, and each kind of fault is found and named by file, object and path. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkCompose } from '@shoal/tools/k8s-check';
import { environment, workloads } from '@shoal/tools/k8s-objects';
import { checkComposeFile, checkManifests, checkOverlay, formatProblem, overlaysOf } from '@shoal/tools/k8s-validation';
import { describe, expect, test } from 'vitest';
import { copyOfManifests, edit, find, kustomize, type Manifest, objectsOf } from '../support/kubernetes.js';
import { ROOT } from '../support/processes.js';

const OVERLAYS = overlaysOf();

test('there is an overlay for each way to run Shoal', () => {
  expect(OVERLAYS.toSorted()).toEqual(['cpu', 'dev', 'gpu', 'prometheus', 'spot']);
});

test.each(OVERLAYS)('every object of the overlay %s is valid', async (overlay) => {
  const problems = await checkManifests(await objectsOf(overlay));
  expect(problems.map(formatProblem)).toEqual([]);
});

test('docker-compose.yml is valid, and a misspelt key is not', async () => {
  expect((await checkComposeFile()).map(formatProblem)).toEqual([]);
  const problems = await checkCompose({ services: { api: { image: 'a', comand: 'b' } } }, 'docker-compose.yml');
  expect(problems.map(formatProblem)).toEqual(['docker-compose.yml: compose services.api.comand: unknown key']);
});

test.each([
  ['cpu', ['redis-ca', 'redis-cluster', 'tracing', 'observability']],
  ['dev', ['tracing', 'observability']],
])('an overlay of one’s own above %s may add %j', async (base, components) => {
  const root = copyOfManifests();
  const lines = [
    'namespace: shoal',
    `resources: [../${base}]`,
    `components: [${components.map((name) => `../../components/${name}`).join(', ')}]`,
  ];
  mkdirSync(join(root, 'k8s/overlays/mine'));
  writeFileSync(join(root, 'k8s/overlays/mine/kustomization.yaml'), lines.join('\n'));
  const { problems, manifests } = await checkOverlay(await kustomize(), 'mine', root);
  expect(problems.map(formatProblem)).toEqual([]);
  const [worker] = workloads(manifests).filter(({ name }) => name === 'worker-wordnet-topic');
  const variables = environment(worker!.containers[0]!.container, manifests);
  expect(variables).toMatchObject({
    SHOAL_METRICS_PORT: '9464',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel-collector.observability.svc:4318',
    ...(components.includes('redis-ca') && { SHOAL_REDIS_CA: '/run/secrets/shoal/redis-ca' }),
  });
});

describe('a fault in a file is named by file, object and path', () => {
  interface Fault {
    readonly file: string;
    readonly from: string;
    readonly to: string;
    readonly found: string;
  }
  test.each<{ what: string; faults: readonly Fault[] }>([
    {
      what: 'misspelt keys',
      faults: [
        {
          file: 'k8s/base/api.yaml',
          from: 'readOnlyRootFilesystem: true',
          to: 'readOnlyRootFileSystem: true',
          found:
            'k8s/base/api.yaml: Deployment api spec.template.spec.containers[0].securityContext.readOnlyRootFileSystem: unknown key',
        },
        {
          file: 'k8s/worker/scaled-object.yaml',
          from: 'pollingInterval: 5',
          to: 'pollingIntervall: 5',
          found: 'k8s/worker/scaled-object.yaml: ScaledObject worker-wordnet-topic spec.pollingIntervall: unknown key',
        },
      ],
    },
    {
      what: 'misspelt names',
      faults: [
        {
          file: 'k8s/base/network-policies.yaml',
          from: 'port: http',
          to: 'port: htp',
          found: 'k8s/base/network-policies.yaml: NetworkPolicy api-public spec.ingress: its pods have no port htp',
        },
        {
          file: 'k8s/base/webhooks.yaml',
          from: 'name: shoal-redis',
          to: 'name: shoal-reddis',
          found:
            'k8s/base/webhooks.yaml: Deployment webhooks spec.template.spec.volumes[0].projected.sources[0].secret: there is no Secret shoal-reddis, and k8s/external.json does not declare it',
        },
      ],
    },
  ])('$what', async ({ faults }) => {
    const root = copyOfManifests();
    for (const { file, from, to } of faults) edit(root, file, from, to);
    const { problems } = await checkOverlay(await kustomize(), 'cpu', root);
    expect(problems.map(formatProblem)).toEqual(expect.arrayContaining(faults.map(({ found }) => found)));
  });

  test('what kustomize itself refuses is one message with the overlay in it', async () => {
    const root = copyOfManifests();
    edit(root, 'k8s/overlays/cpu/kustomization.yaml', 'components:', 'component:');
    await expect(checkOverlay(await kustomize(), 'cpu', root)).rejects.toThrow(
      /^k8s\/overlays\/cpu cannot be rendered: .*component/s,
    );
  });
});

type Objects = readonly Manifest[];
const pod = (objects: Objects, name: string) => find(objects, 'Deployment', name).spec.template.spec;
const container = (objects: Objects, name: string) => pod(objects, name).containers[0];
const scaled = (objects: Objects) => find(objects, 'ScaledObject', 'worker-wordnet-topic').spec;

const FAULTS: readonly [what: string, seed: (objects: Objects) => void, expected: string][] = [
  [
    'a container as root',
    (o) => (pod(o, 'api').securityContext.runAsNonRoot = false),
    'securityContext.runAsNonRoot: must be true',
  ],
  [
    'a writable root file system',
    (o) => delete container(o, 'api').securityContext.readOnlyRootFilesystem,
    'readOnlyRootFilesystem: must be true',
  ],
  [
    'capabilities kept',
    (o) => delete container(o, 'api').securityContext.capabilities,
    'capabilities.drop: must be [ALL]',
  ],
  [
    'no seccomp profile',
    (o) => delete pod(o, 'api').securityContext.seccompProfile,
    'seccompProfile: must be RuntimeDefault',
  ],
  [
    'no memory limit',
    (o) => delete container(o, 'api').resources.limits.memory,
    'resources.limits.memory: must be set',
  ],
  [
    'no bound on local files',
    (o) => delete container(o, 'api').resources.limits['ephemeral-storage'],
    'ephemeral-storage: must be set',
  ],
  [
    'an unbounded emptyDir',
    (o) => delete pod(o, 'api').volumes[1].emptyDir.sizeLimit,
    'emptyDir.sizeLimit: must be set',
  ],
  ['no readiness probe', (o) => delete container(o, 'api').readinessProbe, 'readinessProbe: must be set'],
  [
    'liveness that asks Redis',
    (o) => (container(o, 'api').livenessProbe.httpGet.path = '/readyz'),
    'must not ask for readiness',
  ],
  [
    'a probe of no port',
    (o) => (container(o, 'api').livenessProbe.httpGet.port = 'htp'),
    'livenessProbe: the container has no port htp',
  ],
  [
    'an image without a tag',
    (o) => (container(o, 'api').image = 'shoal-api'),
    'containers[0].image: shoal-api needs a tag',
  ],
  [
    'the tag latest',
    (o) => (container(o, 'api').image = 'r.io:5000/shoal-api:latest'),
    'needs a tag other than latest',
  ],
  [
    'a token in the pod',
    (o) => delete pod(o, 'api').automountServiceAccountToken,
    'automountServiceAccountToken: must be false',
  ],
  [
    'less grace than draining takes',
    (o) => (pod(o, 'worker-wordnet-topic').terminationGracePeriodSeconds = 25),
    'must be more than the 25 s',
  ],
  [
    'replicas under an HPA',
    (o) => (find(o, 'Deployment', 'api').spec.replicas = 2),
    'Deployment api spec.replicas: must be left out',
  ],
  [
    'replicas under KEDA',
    (o) => (find(o, 'Deployment', 'worker-wordnet-topic').spec.replicas = 2),
    'worker-wordnet-topic spec.replicas: must be left out',
  ],
  [
    'nobody who counts',
    (o) => delete find(o, 'Deployment', 'webhooks').spec.replicas,
    'Deployment webhooks spec.replicas: must be set',
  ],
  [
    'a second autoscaler',
    (o) => (find(o, 'HorizontalPodAutoscaler', 'api').spec.scaleTargetRef.name = 'worker-wordnet-topic'),
    '2 autoscalers count its replicas',
  ],
  [
    'an autoscaler of nothing',
    (o) => (scaled(o).scaleTargetRef.name = 'worker'),
    'spec.scaleTargetRef: there is no Deployment worker',
  ],
  [
    'a fraction as target',
    (o) => (scaled(o).advanced.scalingModifiers = { formula: 'demand', target: '0.5' }),
    'scalingModifiers.target: must be a whole number',
  ],
  ['no fallback', (o) => delete scaled(o).fallback, 'spec.fallback: must be set'],
  ['a fallback that guesses', (o) => (scaled(o).fallback.behavior = 'static'), 'spec.fallback: must keep what runs'],
  ['a fallback to none', (o) => (scaled(o).fallback.replicas = 0), 'spec.fallback: must keep what runs'],
  [
    'a formula with a name of nothing',
    (o) => (scaled(o).advanced.scalingModifiers = { formula: 'demand + late', target: '1' }),
    'scalingModifiers.formula: there is no trigger late',
  ],
  [
    'a trigger that does not count',
    (o) => (scaled(o).advanced.scalingModifiers = { formula: '1.0', target: '1' }),
    'triggers[0].name: must be a name that the formula uses',
  ],
  [
    'a second trigger without a formula',
    (o) => scaled(o).triggers.push({ type: 'cron', metadata: {} }),
    'scalingModifiers.formula: must be set',
  ],
  [
    'times between none and one where one stays',
    (o) => (scaled(o).minReplicaCount = 1),
    'spec.pollingInterval: must be left out',
  ],
  [
    'a URL to no Service',
    (o) => (scaled(o).triggers[0].metadata.url = 'http://api-internal.shoal.svc:9465/x'),
    'triggers[0].metadata.url: leads to no Service',
  ],
  [
    'unknown credentials',
    (o) => (scaled(o).triggers[0].authenticationRef.name = 'auto'),
    'there is no TriggerAuthentication auto',
  ],
  [
    'a Service that selects nothing',
    (o) => (find(o, 'Service', 'api').spec.selector = { a: 'b' }),
    'Service api spec.selector: selects no pods',
  ],
  [
    'a port of nothing',
    (o) => (find(o, 'Service', 'api').spec.ports[0].targetPort = 'web'),
    'ports[0].targetPort: its pods have no port web',
  ],
  [
    'an Ingress to no port',
    (o) => (find(o, 'Ingress', 'api').spec.rules[0].http.paths[0].backend.service.port.name = 'web'),
    'Service api has no such port',
  ],
  ['an unknown ServiceAccount', (o) => (pod(o, 'api').serviceAccountName = 'apy'), 'there is no ServiceAccount apy'],
  [
    'an unknown ConfigMap',
    (o) => (container(o, 'api').envFrom[0].configMapRef.name = 'shoal'),
    'envFrom[0]: there is no ConfigMap shoal',
  ],
  [
    'an unknown key of a Secret',
    (o) => (pod(o, 'api').volumes[0].projected.sources[0].secret.items[0].key = 'uri'),
    'Secret shoal-redis has no key uri',
  ],
  ['an unknown PriorityClass', (o) => (pod(o, 'api').priorityClassName = 'high'), 'there is no PriorityClass high'],
  [
    'a mount of no volume',
    (o) => (container(o, 'api').volumeMounts[1].name = 'temp'),
    'mounts temp, which is no volume',
  ],
  [
    'a selector of other pods',
    (o) => (find(o, 'Deployment', 'api').spec.selector.matchLabels = { a: 'b' }),
    'spec.selector: does not select its own pods',
  ],
  [
    'two owners of a pod',
    (o) =>
      (find(o, 'Deployment', 'worker-wordnet-topic').spec.selector.matchLabels = {
        'app.kubernetes.io/component': 'worker',
      }),
    'selects the pods of worker-wordnet-embed as well',
  ],
  [
    'a policy of no pods',
    (o) => (find(o, 'NetworkPolicy', 'redis').spec.podSelector.matchExpressions[0].values = ['wroker']),
    'NetworkPolicy redis spec.podSelector: selects no pods',
  ],
  [
    'no way to Redis',
    (o) => (find(o, 'NetworkPolicy', 'redis').spec.podSelector.matchExpressions[0].values = ['api', 'webhooks']),
    'Deployment worker-wordnet-topic: no NetworkPolicy lets it reach Redis',
  ],
  [
    'an open way out',
    (o) => find(o, 'NetworkPolicy', 'webhooks').spec.egress[0].to[0].ipBlock.except.splice(1, 1),
    'to[0].ipBlock.except: must have 10.0.0.0/8',
  ],
  [
    'any destination',
    (o) => delete find(o, 'NetworkPolicy', 'dns').spec.egress[0].to,
    'NetworkPolicy dns spec.egress[0]: must say where to',
  ],
  [
    'ingress for all',
    (o) => (find(o, 'NetworkPolicy', 'default-deny').spec.policyTypes = ['Egress']),
    'no NetworkPolicy denies its Ingress',
  ],
  [
    'no budget',
    (o) => (find(o, 'PodDisruptionBudget', 'api').spec.selector.matchLabels = { a: 'b' }),
    'Deployment api: 0 PodDisruptionBudgets select its pods',
  ],
  [
    'a variable twice',
    (o) => container(o, 'worker-wordnet-topic').env.push({ name: 'SHOAL_MODELS', value: 'x' }),
    'containers[0].env: two entries are the same one',
  ],
  [
    'a misspelt quantity',
    (o) => (container(o, 'api').resources.limits.memory = '1GB'),
    'resources.limits.memory: must match pattern',
  ],
  [
    'a number where text belongs',
    (o) => (scaled(o).triggers[0].metadata.targetValue = 1),
    'triggers[0].metadata.targetValue: must be string',
  ],
  [
    'a kind without a schema',
    (o) => (find(o, 'Service', 'api').kind = 'Servce'),
    'k8s/schemas has no schema of v1 Servce',
  ],
  ['a secret', (o) => (find(o, 'Namespace', 'shoal').kind = 'Secret'), 'Secret shoal: secrets do not belong'],
];

describe('each kind of fault is found', () => {
  test.each(FAULTS)('%s', async (_, seed, expected) => {
    const objects = await objectsOf('cpu');
    seed(objects);
    const problems = (await checkManifests(objects)).map(formatProblem);
    expect(
      problems.some((problem) => problem.includes(expected)),
      problems.join('\n'),
    ).toBe(true);
  });

  test('a missing number of Prometheus that would count as zero', async () => {
    const objects = await objectsOf('prometheus');
    delete scaled(objects).triggers[0].metadata.ignoreNullValues;
    const problems = (await checkManifests(objects)).map(formatProblem);
    expect(problems).toEqual([expect.stringContaining('triggers[0].metadata.ignoreNullValues: must be "false"')]);
  });
});

test('CI and people run the same checks', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  expect(scripts['k8s:validate']).toBe('exec node tools/k8s-validate.mjs');
});
