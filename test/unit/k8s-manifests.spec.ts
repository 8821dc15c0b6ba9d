/** What the manifests promise beyond being valid: they fit the code that runs in them, and each other. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createApiMetrics,
  createAutoscaleMetrics,
  createProcessMetrics,
  createWebhookMetrics,
  createWorkerMetrics,
} from '@shoal/telemetry';
import { environment, seconds, selects, workloads } from '@shoal/tools/k8s-objects';
import { secretManifests } from '@shoal/tools/k8s-secret-manifests';
import { Registry } from 'prom-client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadConfig as loadApiConfig } from '../../apps/api/dist/config.js';
import { loadConfig as loadWebhooksConfig } from '../../apps/webhooks/dist/config.js';
import { loadConfig as loadWorkerConfig } from '../../apps/worker/dist/config.js';
import { find, objectsOf } from '../support/kubernetes.js';
import { ROOT } from '../support/processes.js';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

test('images have the version of this repository', async () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  for (const overlay of ['cpu', 'dev', 'gpu', 'prometheus', 'spot']) {
    const images = workloads(await objectsOf(overlay)).flatMap(({ containers }) =>
      containers.map(({ container }) => container.image),
    );
    const ours = images.filter((image: string) => image.startsWith('shoal-'));
    expect(new Set(ours.map((image: string) => image.split(':')[1]))).toEqual(new Set([version]));
  }
});

describe.each([
  ['api', 'api', loadApiConfig],
  ['webhooks', 'webhooks', loadWebhooksConfig],
  ['worker', 'worker-wordnet-topic', loadWorkerConfig],
])('the settings of the pods of %s', (app, name, loadConfig) => {
  const variablesOf = async () => {
    const manifests = await objectsOf('dev');
    const { volumes, containers } = find(manifests, 'Deployment', name).spec.template.spec;
    return { volumes, variables: environment(containers[0], manifests) };
  };

  test('are variables that it reads', async () => {
    const files = [`apps/${app}/src/config.ts`, 'libs/config/src/redis.ts', 'libs/config/src/store.ts'];
    const known = files.map(read).join('\n');
    for (const variable of Object.keys((await variablesOf()).variables)) {
      expect(known).toMatch(new RegExp(`^ {2}${variable.replace(/_FILE$/, '')}:`, 'm'));
    }
  });

  test('are accepted with the Secrets that are mounted', async () => {
    const { volumes, variables } = await variablesOf();
    const folder = mkdtempSync(join(tmpdir(), 'shoal-secrets-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const secrets = secretManifests({}, { dev: true, random: randomBytes }).items;
    for (const { secret } of volumes.find((volume: { name: string }) => volume.name === 'secrets').projected.sources) {
      const { stringData } = secrets.find(({ metadata }) => metadata.name === secret.name)!;
      for (const { key, path } of secret.items) writeFileSync(join(folder, path), stringData[key]!);
    }
    const local = Object.entries(variables).map(([key, value]) => [key, value.replace('/run/secrets/shoal', folder)]);
    const config = loadConfig(Object.fromEntries(local));
    expect(config.REDIS_URL).toMatch(/^redis:\/\/shoal(-\w+)?:\w+@redis\.shoal\.svc:6379$/);
    expect(config.SHOAL_METRICS_PORT).toBe(9464);
  });
});

test('webhooks may go where the code lets them go, and nowhere else', async () => {
  const { egress } = find(await objectsOf('cpu'), 'NetworkPolicy', 'webhooks').spec;
  const excepted: string[] = egress[0].to.flatMap(({ ipBlock }: { ipBlock: { except: string[] } }) => ipBlock.except);
  const denied = [...read('libs/network/src/addresses.ts').matchAll(/^ {2}'([0-9a-f:.]+\/\d+)',$/gm)].map(
    ([, range]) => range,
  );
  expect(excepted.toSorted()).toEqual(denied.toSorted());
  expect(egress[0].ports.map(({ port }: { port: number }) => port)).toEqual([443, 8443]);
});

test('private ports are open to KEDA and Prometheus only, the public one to the Ingress controller', async () => {
  const policies = (await objectsOf('cpu')).filter(({ object }) => object.kind === 'NetworkPolicy');
  const rules = policies.flatMap(({ object }) => object.spec.ingress ?? []);
  const openTo = (port: string) =>
    rules
      .filter(({ ports }) => ports.some((entry: { port: unknown }) => entry.port === port))
      .flatMap(({ from }) => from.map((peer: { namespaceSelector: object }) => JSON.stringify(peer.namespaceSelector)));
  const named = (name: string) => JSON.stringify({ matchLabels: { 'kubernetes.io/metadata.name': name } });
  expect(openTo('private').toSorted()).toEqual([named('keda'), named('monitoring')]);
  expect(openTo('http')).toEqual([named('ingress-nginx')]);
});

test('the API and workers reach DNS and Redis, and nothing else', async () => {
  const manifests = await objectsOf('cpu');
  for (const { labels } of workloads(manifests).filter(({ name }) => name !== 'webhooks')) {
    const ways = manifests.filter(
      ({ object }) => object.kind === 'NetworkPolicy' && object.spec.egress && selects(object.spec.podSelector, labels),
    );
    expect(ways.map(({ object }) => object.metadata.name).toSorted()).toEqual(['dns', 'redis']);
  }
});

describe('on spot nodes', () => {
  test('a worker drains and ends within the 15 s that clouds give', async () => {
    const manifests = await objectsOf('spot');
    const workers = workloads(manifests).filter(({ labels }) => labels['app.kubernetes.io/component'] === 'worker');
    expect(workers).toHaveLength(6);
    for (const { pod, containers } of workers) {
      const drain = seconds(environment(containers[0]!.container, manifests).SHOAL_DRAIN_TIMEOUT!);
      expect(pod.terminationGracePeriodSeconds).toBeLessThanOrEqual(15);
      expect(drain).toBeLessThan(pod.terminationGracePeriodSeconds);
    }
  });

  test('one worker of each model stays where nodes stay, and counts as one of those that are needed', async () => {
    const manifests = await objectsOf('spot');
    const base = find(manifests, 'Deployment', 'worker-wordnet-topic-base').spec;
    expect(base.replicas).toBe(1);
    expect(base.template.spec.tolerations).toBeUndefined();
    expect(base.template.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution).toBeDefined();
    const { advanced } = find(manifests, 'ScaledObject', 'worker-wordnet-topic').spec;
    expect(advanced.scalingModifiers.formula).toBe('max(demand - 1.0, 0.0)');
  });
});

test('on GPUs a worker has one, and the old pod gives it up before the new one starts', async () => {
  const manifests = await objectsOf('gpu');
  const { spec } = find(manifests, 'Deployment', 'worker-wordnet-topic');
  expect(spec.strategy.rollingUpdate).toEqual({ maxSurge: 0, maxUnavailable: 1 });
  const [container] = spec.template.spec.containers;
  expect(container.image).toMatch(/^shoal-worker-gpu:/);
  expect(container.resources.limits).toMatchObject({ 'nvidia.com/gpu': '1' });
  expect(environment(container, manifests)).toMatchObject({ SHOAL_DEVICE: 'cuda:0' });
  expect(container.env.map(({ name }: { name: string }) => name)).toEqual(['SHOAL_MODELS', 'SHOAL_GENERATION_THREADS']);
});

test('workers follow the API’s number alone; without it what runs is kept, and one worker at least', async () => {
  for (const overlay of ['cpu', 'dev', 'gpu', 'spot']) {
    const { spec } = find(await objectsOf(overlay), 'ScaledObject', 'worker-wordnet-topic');
    expect(spec.triggers).toEqual([expect.objectContaining({ type: 'metrics-api', name: 'demand' })]);
    expect(spec.triggers[0].metadata).toMatchObject({ valueLocation: 'replicas_needed', targetValue: '1' });
    expect(spec.fallback).toEqual({ failureThreshold: 3, replicas: 1, behavior: 'currentReplicasIfHigher' });
  }
});

test('an overlay takes the place of another in a running cluster: what cannot be changed is the same in all', async () => {
  const selectors = async (overlay: string) => {
    const names = ['api', 'webhooks', 'worker-wordnet-topic', 'worker-wordnet-embed'];
    const manifests = await objectsOf(overlay);
    return names.map((name) => find(manifests, 'Deployment', name).spec.selector);
  };
  const first = await selectors('cpu');
  for (const overlay of ['dev', 'gpu', 'prometheus', 'spot']) expect(await selectors(overlay)).toEqual(first);
});

test('alerts ask for metrics that there are', async () => {
  const registry = new Registry();
  createProcessMetrics(registry);
  createApiMetrics(registry);
  createWebhookMetrics(registry);
  createAutoscaleMetrics(registry, async () => []);
  const worker = new Registry();
  createWorkerMetrics(worker);
  const names = [...registry.getMetricsAsArray(), ...worker.getMetricsAsArray()].map(({ name }) => name);
  const { groups } = find(await objectsOf('prometheus'), 'PrometheusRule', 'shoal').spec;
  const asked = groups.flatMap(({ rules }: { rules: { expr: string }[] }) =>
    rules.flatMap(({ expr }) => expr.match(/\b(shoal|nodejs)_\w+/g) ?? []),
  );
  expect(asked.length).toBeGreaterThan(10);
  for (const name of asked) expect(names).toContain(name.replace(/_(bucket|count|sum)$/, ''));
});

describe('the Secrets', () => {
  const random = (bytes: number) => Buffer.alloc(bytes, 7);
  const env = { REDIS_URL: 'rediss://shoal:p%40ss@redis.example.com:6380', SHOAL_API_KEYS: 'acme:key' };
  const redisOf = (variables: Record<string, string>) =>
    secretManifests(variables, { dev: false, random }).items[0]!.stringData;

  test('have the keys that are declared, made of the variables of the processes', () => {
    const external = JSON.parse(read('k8s/external.json')) as { Secret: Record<string, string> };
    for (const { metadata, stringData } of secretManifests(env, { dev: true, random }).items) {
      expect(Object.keys(stringData).toSorted()).toEqual(external.Secret[metadata.name]!.split(' ').toSorted());
    }
  });

  test('have an example with the same keys', async () => {
    const { loadAll } = await import('js-yaml');
    const examples = loadAll(read('k8s/secrets.example.yaml')) as { metadata: object; stringData: object }[];
    const made = secretManifests(env, { dev: false, random }).items;
    expect(examples.map(({ metadata }) => metadata)).toEqual(made.map(({ metadata }) => metadata));
    expect(examples.map(({ stringData }) => Object.keys(stringData))).toEqual(
      made.map(({ stringData }) => Object.keys(stringData)),
    );
  });

  test('have a user of Redis for each app that has a password, and else the one of REDIS_URL', () => {
    expect(redisOf(env)).toEqual({
      url: env.REDIS_URL,
      'worker-url': env.REDIS_URL,
      'webhooks-url': env.REDIS_URL,
      ca: '',
    });
    expect(redisOf({ ...env, SHOAL_REDIS_WORKER_PASSWORD: 'w/1' })).toMatchObject({
      'worker-url': 'rediss://shoal-worker:w%2F1@redis.example.com:6380',
      'webhooks-url': env.REDIS_URL,
    });
  });

  test('are not made where something is missing or wrong', () => {
    expect(() => redisOf({ SHOAL_API_KEYS: 'acme:key' })).toThrow('set REDIS_URL, or give --dev');
    expect(() => redisOf({ ...env, REDIS_URL: 'http://a' })).toThrow('REDIS_URL must be redis[s]://');
    expect(() => redisOf({ ...env, SHOAL_REDIS_CA: '/nowhere' })).toThrow('SHOAL_REDIS_CA must name a PEM file');
  });
});

test('the Redis of the overlay dev has the settings of docker/redis, and its users with new passwords', () => {
  expect(read('k8s/components/redis/redis.conf')).toBe(read('docker/redis/redis.conf'));
  const { stringData } = secretManifests({}, { dev: true, random: randomBytes }).items[0]!;
  expect(new URL(stringData.url!).host).toBe('redis.shoal.svc:6379');
  const passwords = ['url', 'worker-url', 'webhooks-url'].map((key) => new URL(stringData[key]!).password);
  expect(new Set(passwords).size).toBe(3);
  for (const [index, user] of ['shoal', 'shoal-worker', 'shoal-webhooks'].entries()) {
    const digest = createHash('sha256').update(passwords[index]!).digest('hex');
    expect(stringData['users.acl']).toContain(`user ${user} on #${digest} `);
  }
  expect(stringData['users.acl']).toMatch(/^user default off /m);
  expect(stringData['users.acl']).toMatch(/^user admin off /m);
});
