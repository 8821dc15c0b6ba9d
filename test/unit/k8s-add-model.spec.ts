/** `npm run k8s:add-model`: what it writes, that it is valid, and what it refuses. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { componentFiles } from '@shoal/tools/k8s-component';
import { parseModelOptions } from '@shoal/tools/k8s-model-options';
import { addModel } from '@shoal/tools/k8s-overlays';
import { checkOverlay, formatProblem } from '@shoal/tools/k8s-validation';
import { describe, expect, test } from 'vitest';
import { createProgram } from '../../apps/cli/dist/program.js';
import { copyOfManifests, find, kustomize } from '../support/kubernetes.js';
import { ROOT } from '../support/processes.js';

const HASH = 'a'.repeat(64);

function add(root: string, ...args: string[]): readonly string[] {
  const options = parseModelOptions(args, root);
  if (options === null) throw new Error('help was asked for');
  return addModel(options.model, { ...options, root });
}

/** What `shoal` with these arguments fetches. */
async function fetchedBy(command: readonly string[]): Promise<unknown> {
  let fetched: unknown;
  const nothing = async () => {};
  const fetchModel = async (request: unknown) => {
    fetched = request;
  };
  const program = createProgram('', {
    start: nothing,
    importModel: nothing,
    pullModel: nothing,
    runModel: nothing,
    evaluateModel: nothing,
    optimizeModel: nothing,
    manageModels: nothing,
    tuneModel: nothing,
    predict: nothing,
    manageJobs: nothing,
    fetchModel,
  });
  await program.parseAsync(command, { from: 'user' });
  return fetched;
}

/** The overlay, which must be valid. */
async function render(root: string, overlay = 'cpu') {
  const { manifests, problems } = await checkOverlay(await kustomize(), overlay, root);
  expect(problems.map(formatProblem)).toEqual([]);
  return manifests;
}

test.each(['wordnet-topic', 'wordnet-embed', 'wordnet-lm'])('the component of %s is what it writes', (name) => {
  const folder = join(ROOT, 'k8s/components', name);
  const read = (path: string) => readFileSync(join(folder, path), 'utf8');
  const command = /^# Written by: npm run k8s:add-model -- (.*)$/m.exec(read('kustomization.yaml'))![1]!;
  const { model } = parseModelOptions(command.split(' '))!;
  const files = componentFiles(model);
  const there = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.yaml'));
  expect(there.toSorted()).toEqual(Object.keys(files).toSorted());
  for (const [path, text] of Object.entries(files)) expect(read(path), path).toBe(text);
});

describe('a model that is added', () => {
  test('in the image has a worker that serves it alone, and is scaled on its own queue', async () => {
    const root = copyOfManifests();
    mkdirSync(join(root, 'models/bge.small_v2'), { recursive: true });
    const args = ['--image', '--min', '1', '--max', '7', '--memory', '4Gi'];
    expect(add(root, 'bge.small_v2', ...args)).toContain('k8s/overlays/spot/base/kustomization.yaml');
    const manifests = await render(root);
    const { containers } = find(manifests, 'Deployment', 'worker-bge-small-v2').spec.template.spec;
    expect(containers[0].env).toContainEqual({ name: 'SHOAL_MODELS', value: 'bge.small_v2' });
    expect(containers[0].resources).toMatchObject({ requests: { memory: '4Gi' }, limits: { memory: '4Gi' } });
    const { spec } = find(manifests, 'ScaledObject', 'worker-bge-small-v2');
    expect(spec).toMatchObject({
      minReplicaCount: 1,
      maxReplicaCount: 7,
      scaleTargetRef: { name: 'worker-bge-small-v2' },
    });
    expect(spec.triggers[0].metadata.url).toBe('http://api-internal.shoal.svc:9464/internal/autoscale/bge.small_v2');
    expect(find(await render(root, 'prometheus'), 'ScaledObject', 'worker-bge-small-v2').spec.triggers[0].type).toBe(
      'prometheus',
    );
    expect(find(await render(root, 'spot'), 'Deployment', 'worker-bge-small-v2-base').spec.replicas).toBe(1);
  });

  test('on a volume is read by every app, which cannot write it', async () => {
    const root = copyOfManifests();
    expect(add(root, 'big', '--volume', 'models')).toContain('k8s/external.json');
    const manifests = await render(root);
    for (const name of ['api', 'webhooks', 'worker-big']) {
      const { containers, volumes } = find(manifests, 'Deployment', name).spec.template.spec;
      const mount = { name: 'model-big', mountPath: '/app/models/big', subPath: 'big', readOnly: true };
      expect(containers[0].volumeMounts).toContainEqual(mount);
      expect(volumes).toContainEqual({
        name: 'model-big',
        persistentVolumeClaim: { claimName: 'models', readOnly: true },
      });
    }
  });

  test('on a server is fetched by every app before it starts, with a command that shoal takes', async () => {
    const root = copyOfManifests();
    const url = 'https://models.example.com:8443/big-1.tar.gz?a=1&b=2';
    add(root, 'big', '--url', url, '--sha256', HASH, '--size', '4Gi');
    const text = readFileSync(join(root, 'k8s/components/big/kustomization.yaml'), 'utf8');
    expect(text.split('\n')[0]).toContain(`-- big --url '${url}' --sha256 ${HASH} --size 4Gi`);
    const manifests = await render(root);
    for (const [name, image] of Object.entries({
      api: 'shoal-api',
      webhooks: 'shoal-webhooks',
      'worker-big': 'shoal-worker',
    })) {
      const { metadata, spec } = find(manifests, 'Deployment', name).spec.template;
      expect(metadata.labels).toMatchObject({ 'shoal/fetches-big': 'true' });
      const [fetcher] = spec.initContainers;
      expect(fetcher).toMatchObject({ image: `${image}:0.1.0`, resources: { limits: { 'ephemeral-storage': '4Gi' } } });
      const [node, main, ...command] = [...fetcher.command, ...fetcher.args];
      expect([node, main]).toEqual(['node', 'apps/cli/dist/main.js']);
      const request = { url, sha256: HASH, to: '/app/models/big/1', maxBytes: 4 * 2 ** 30 };
      expect(await fetchedBy(command)).toEqual(request);
      expect(spec.containers[0].volumeMounts).toContainEqual({
        name: 'model-big',
        mountPath: '/app/models/big',
        readOnly: true,
      });
    }
    const { egress } = find(manifests, 'NetworkPolicy', 'fetch-big').spec;
    expect(egress[0].ports).toEqual([{ protocol: 'TCP', port: 8443 }]);
    expect(egress[0].to[0].ipBlock).toMatchObject({
      cidr: '0.0.0.0/0',
      except: expect.arrayContaining(['10.0.0.0/8']),
    });
  });

  test('in two versions is fetched in both, so that jobs of the older one still run', async () => {
    const root = copyOfManifests();
    const version = (number: string) => ['--version', number, '--url', `https://e.com/${number}.tar`, '--sha256', HASH];
    add(root, 'big', ...version('1'), ...version('2'), '--cidr', '10.9.0.0/16');
    const manifests = await render(root);
    const { initContainers } = find(manifests, 'Deployment', 'worker-big').spec.template.spec;
    expect(initContainers.map(({ name }: { name: string }) => name)).toEqual(['fetch-big-1', 'fetch-big-2']);
    expect(find(manifests, 'NetworkPolicy', 'fetch-big').spec.egress[0].to).toEqual([
      { ipBlock: { cidr: '10.9.0.0/16' } },
    ]);
  });

  test('with a name that YAML would take for something else is still a name', async () => {
    const root = copyOfManifests();
    for (const name of ['1', '1e3', 'null', 'on']) {
      mkdirSync(join(root, 'models', name), { recursive: true });
      add(root, name, '--image');
    }
    const manifests = await render(root);
    for (const name of ['1', '1e3', 'null', 'on']) {
      const { containers } = find(manifests, 'Deployment', `worker-${name}`).spec.template.spec;
      expect(containers[0].env).toContainEqual({ name: 'SHOAL_MODELS', value: name });
    }
  });

  test('replaces what was there only where it is told to, and nothing that it did not write', () => {
    const root = copyOfManifests();
    mkdirSync(join(root, 'models/wordnet-topic'), { recursive: true });
    const again = () => add(root, 'wordnet-topic', '--image', '--max', '3');
    expect(again).toThrow('k8s/components/wordnet-topic is there already: --replace writes it anew.');
    const written = add(root, 'wordnet-topic', '--image', '--max', '3', '--replace');
    expect(written).not.toContain('k8s/overlays/cpu/kustomization.yaml');
    expect(readFileSync(join(root, 'k8s/components/wordnet-topic/worker/kustomization.yaml'), 'utf8')).toContain(
      'value: 3',
    );
    mkdirSync(join(root, 'models/redis'));
    expect(() => add(root, 'redis', '--image', '--replace')).toThrow('component: give --as <name>.');
    expect(add(root, 'redis', '--image', '--as', 'redis-model')).toContain(
      'k8s/components/redis-model/kustomization.yaml',
    );
  });
});

describe('is refused in one line', () => {
  test.each<[args: string[], message: string]>([
    [[], 'give the name of one model.'],
    [['Big', '--image'], '"Big" is no model name'],
    [['x'.repeat(60), '--image'], 'cannot name objects in a cluster: give --as <name>'],
    [['big'], 'one of --image, --volume <claim> and --url <url>'],
    [['big', '--image', '--volume', 'a'], 'one of --image, --volume <claim> and --url <url>'],
    [['big', '--image'], 'models/big is not there: the images get their models from it.'],
    [['big', '--volume', 'A_b'], '--volume takes the name of a PersistentVolumeClaim.'],
    [['big', '--volume', 'a', '--size', '1Gi'], '--version, --sha256, --size and --cidr go with --url.'],
    [['big', '--url', 'https://a.b/c'], '--url, --sha256 and --version belong together: 1, 0 and 1 were given.'],
    [['big', '--url', 'https://a.b/c', '--sha256', 'abc'], '--sha256 takes 64 hexadecimal digits.'],
    [['big', '--url', 'https://me:pass@a.b/c', '--sha256', HASH], 'manifests are no place for secrets.'],
    [['big', '--url', 'https://a.b/c\n- x', '--sha256', HASH], '--url takes an http:// or https:// URL'],
    [['big', '--url', 'https://a.b/c', '--sha256', HASH, '--size', '2GB'], '--size takes a size such as 512Mi or 4Gi.'],
    [['big', '--url', 'https://a.b/c', '--sha256', HASH, '--cidr', '10.0.0.0'], '--cidr takes a network'],
    [['big', '--url', 'https://a.b/c', '--sha256', HASH, '--version', '1.2'], '--version takes a whole number from 1.'],
    [['big', '--volume', 'a', '--version', '2'], '--version, --sha256, --size and --cidr go with --url.'],
    [['big', '--volume', 'a', '--min', '3', '--max', '2'], '--min must not be more than --max.'],
    [['big', '--volume', 'a', '--max', '0'], '--max takes a whole number from 1 to 9999.'],
    [['big', '--volume', 'a', '--memory', '4G'], '--memory takes a size such as 512Mi or 4Gi.'],
    [['big', '--volume', 'a', '--cpu', '0'], '--cpu takes cores: 2, 0.5 or 500m.'],
    [
      ['big', '--volume', 'a', '--overlay', 'prod'],
      'there is no overlay "prod"; there are cpu, dev, gpu, prometheus, spot.',
    ],
    [
      ['big', '--volume', 'a', '--overlay', 'spot'],
      'the overlay spot is built on cpu: --overlay cpu adds the model to both.',
    ],
    [['big', '--volum', 'a'], "Unknown option '--volum'"],
  ])('%j', (args, message) => {
    expect(() => parseModelOptions(args)).toThrow(message);
  });
});
