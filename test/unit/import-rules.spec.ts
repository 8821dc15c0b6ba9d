/**
 * The table of docs/contributing.md: who may depend on whom, and where the environment is read. The linter makes sure that
 * a package imports only what its package.json declares; this makes sure that it declares only what it may.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VERSION } from '@shoal/telemetry';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../support/processes.js';

/** Workspace → the @shoal packages it may depend on, beside contracts. */
const LIBS: Readonly<Record<string, readonly string[]>> = {
  contracts: [],
  config: [],
  queue: [],
  batching: [],
  autoscaling: [],
  onnx: [],
  onnxruntime: [],
  models: ['onnx', 'onnxruntime'],
  generation: ['onnx', 'onnxruntime', 'models'],
  importer: ['onnx', 'onnxruntime', 'models', 'generation'],
  training: ['onnx', 'onnxruntime'],
  optimizer: ['batching', 'onnx', 'onnxruntime', 'models', 'generation', 'importer', 'training'],
  network: [],
  sources: ['network'],
  storage: [],
  telemetry: [],
  webhooks: ['network'],
  intake: ['models', 'queue', 'telemetry'],
};

/** Third-party package → the only workspaces that may depend on it. */
const OWNERS: readonly [name: RegExp, owners: readonly string[]][] = [
  [/^ioredis$/, ['libs/queue']],
  // @nestjs/bullmq takes BullMQ from the app that uses it.
  [/^bullmq$/, ['libs/queue', 'apps/webhooks']],
  [/^(koffi|onnxruntime-node)$/, ['libs/onnxruntime']],
  [/^@nestjs\//, ['apps/api', 'apps/worker', 'apps/webhooks']],
  [/^@opentelemetry\//, ['libs/telemetry']],
  [/^@aws-sdk\//, ['libs/sources', 'libs/storage']],
  [/^@huggingface\/hub$/, ['libs/sources']],
];

/** Setting a variable for a native library is no reading. */
const READS_ENVIRONMENT = /\bprocess\.env\b(?!\.\w+ = )|\bfrom 'node:process'/;

const MAX_LINES = 400;

interface Workspace {
  readonly path: string;
  readonly version: string;
  readonly dependencies: readonly string[];
  readonly sources: readonly { readonly path: string; readonly text: string }[];
}

const foldersOf = (parent: string) =>
  readdirSync(join(ROOT, parent), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `${parent}/${entry.name}`);

const workspaces = ['libs', 'apps'].flatMap(foldersOf).map(readWorkspace);

function readWorkspace(path: string): Workspace {
  const manifest: unknown = JSON.parse(readFileSync(join(ROOT, path, 'package.json'), 'utf8'));
  const { version, dependencies = {} } = manifest as { version: string; dependencies?: Record<string, string> };
  const sources = readdirSync(join(ROOT, path, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => ({ path: `${path}/src/${file}`, text: readFileSync(join(ROOT, path, 'src', file), 'utf8') }));
  return { path, version, dependencies: Object.keys(dependencies), sources };
}

const shoalDependencies = ({ dependencies }: Workspace) =>
  dependencies.filter((name) => name.startsWith('@shoal/')).map((name) => name.slice('@shoal/'.length));

describe.each(workspaces)('$path', (workspace) => {
  const [kind, name = ''] = workspace.path.split('/');

  test('depends on no other package of ours than the table allows', () => {
    const allowed = kind === 'libs' ? (LIBS[name] ?? []) : [...Object.keys(LIBS), ...(name === 'cli' ? ['tools'] : [])];
    expect(['contracts', ...allowed]).toEqual(expect.arrayContaining(shoalDependencies(workspace)));
  });

  test('leaves packages that have an owner to their owner', () => {
    const foreign = workspace.dependencies.filter((dependency) =>
      OWNERS.some(([pattern, owners]) => pattern.test(dependency) && !owners.includes(workspace.path)),
    );
    expect(foreign).toEqual([]);
  });

  test('reads the environment in config.ts of an app only', () => {
    const readers = workspace.sources
      .filter(({ path, text }) => READS_ENVIRONMENT.test(text) && path !== `apps/${name}/src/config.ts`)
      .map(({ path }) => path);
    expect(readers).toEqual([]);
  });

  test(`has no file of more than ${MAX_LINES} lines`, () => {
    const long = workspace.sources.filter(({ text }) => text.split('\n').length > MAX_LINES).map(({ path }) => path);
    expect(long).toEqual([]);
  });
});

test('all workspaces have one version, which is the one that processes tell', () => {
  expect([...new Set(workspaces.map(({ version }) => version))]).toEqual([VERSION]);
});

test('every lib is in the table', () => {
  expect(
    foldersOf('libs')
      .map((path) => path.slice('libs/'.length))
      .toSorted(),
  ).toEqual(Object.keys(LIBS).toSorted());
});

test('tools run before anything is installed: they import Node’s own modules and each other only', () => {
  const imports = readdirSync(join(ROOT, 'tools'))
    .filter((file) => file.endsWith('.mjs'))
    .flatMap((file) => [...readFileSync(join(ROOT, 'tools', file), 'utf8').matchAll(/^import .* from '(.*)';$/gm)])
    .map(([, from = '']) => from);
  expect(imports.filter((from) => !from.startsWith('node:') && !from.startsWith('./'))).toEqual([]);
});
