/**
 * Requirement P, under load: a second version takes the name over, an alias gives it a share of the jobs and then all, the first
 * one is unloaded, loaded again and deleted. No job may fail, none may run on another version than the one that it was
 * accepted for, and the memory has to come back.
 */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JobView, ModelCard } from '@shoal/contracts';
import { ask, type Started, seconds, shoal, until } from './started.js';

/** Calls at a time of the plain name, of the alias, and of a model that nothing is done to. */
const CALLERS = { name: 4, alias: 4, neighbour: 2 } as const;
const ALIAS = 'prod';
const NEIGHBOUR = 'wordnet-topic';
/** Jobs of the alias of which the shares are taken. */
const SHARED_JOBS = 200;
/** Jobs in a row that tell that all run on a version. */
const LATEST = 8;
/** Per cent of the alias's jobs that the new version gets at first. */
const CANARY = 10;

/** In the order in which they are done; seconds where not said otherwise. */
export interface Swap {
  readonly takenOver: number;
  /** Of the alias's jobs, in per cent. */
  readonly canaryShare: number;
  readonly switched: number;
  readonly unloaded: number;
  /** What the worker had less when the first version was unloaded, to the size of its files. */
  readonly givenBack: number;
  readonly loaded: number;
  readonly removed: number;
  readonly jobs: number;
  readonly failed: number;
  readonly wrong: number;
}

interface Call {
  readonly model: string;
  readonly status: number;
  readonly job: JobView;
}

/** `model` is there in version 1; `second` is what version 2 is imported from, which answers otherwise. */
export async function swapUnderLoad(started: Started, model: string, second: string): Promise<Swap> {
  const { origin, models } = started;
  const [one, two] = [`${model}@1`, `${model}@2`];
  const alias = (target: unknown) =>
    writeFileSync(join(models, 'models.json'), JSON.stringify({ aliases: { [ALIAS]: target } }));
  alias(one);
  await until(async () => (await call(origin, ALIAS)).status === 200);
  const calls: Call[] = [];
  const references = new Map([['1', textOf(await call(origin, one))]]);
  let running = true;
  const caller = async (name: string) => {
    while (running) calls.push(await call(origin, name));
  };
  const names = { name: model, alias: ALIAS, neighbour: NEIGHBOUR };
  const callers = Object.entries(CALLERS).flatMap(([who, count]) =>
    Array.from({ length: count }, () => caller(names[who as keyof typeof names])),
  );
  const callsOf = (name: string, from: number) => calls.slice(from).filter((made) => made.model === name);
  /** Until the latest jobs of the name have all run on the version. */
  const runsOn = (name: string, version: string) => {
    const from = calls.length;
    return until(() => {
      const latest = callsOf(name, from).slice(-LATEST);
      return latest.length === LATEST && latest.every(({ job }) => job.version === version);
    });
  };

  const takenOver = await seconds(async () => {
    const over = runsOn(model, '2');
    await shoal(started, ['import', second, '--name', model, '--version', '2', '--to', models]);
    await over;
  });
  references.set('2', textOf(await call(origin, two)));
  const from = calls.length;
  alias({ [one]: 100 - CANARY, [two]: CANARY });
  await until(() => callsOf(ALIAS, from).some(({ job }) => job.version === '2'));
  const known = calls.length;
  await until(() => callsOf(ALIAS, known).length >= SHARED_JOBS);
  const shared = callsOf(ALIAS, known);
  const canaryShare = (100 * shared.filter(({ job }) => job.version === '2').length) / shared.length;
  const switched = await seconds(async () => {
    alias(two);
    await runsOn(ALIAS, '2');
  });
  const size = sizeOf(join(models, model, '1'));
  const before = residentOf(started);
  const stands = (id: string, loaded: boolean) =>
    until(async () => (await workersOf(origin, model, id)) > 0 === loaded);
  const unloaded = await seconds(async () => {
    await ask(origin, `/v1/models/${encodeURIComponent(one)}/unload`, {});
    await stands(one, false);
  });
  const after = residentOf(started);
  const loaded = await seconds(async () => {
    await ask(origin, `/v1/models/${encodeURIComponent(one)}/load`, {});
    await stands(one, true);
  });
  const removed = await seconds(async () => {
    rmSync(join(models, model, '1'), { recursive: true });
    await until(async () => (await call(origin, one)).status === 404);
  });
  running = false;
  await Promise.all(callers);
  const bad = calls.filter(({ status, job }) => status !== 200 || job.status !== 'completed');
  for (const { model: asked, status, job } of bad.slice(0, 3)) console.error(asked, status, JSON.stringify(job));
  return {
    ...{ takenOver, canaryShare, switched, unloaded, loaded, removed },
    givenBack: (before - after) / size,
    jobs: calls.length,
    failed: bad.length,
    wrong: calls.filter((made) => made.model !== NEIGHBOUR && !bad.includes(made) && isWrong(made, model, references))
      .length,
  };
}

/** Its id names the queue that it was in, and its text is not that of the other version. */
function isWrong(made: Call, model: string, references: ReadonlyMap<string, string>): boolean {
  const { id, version } = made.job;
  const other = references.get(version === '1' ? '2' : '1');
  return !id.startsWith(`${model}.${version}.`) || textOf(made) === other;
}

const textOf = ({ job }: Call) => JSON.stringify(job.output);

async function call(origin: string, model: string): Promise<Call> {
  const text = { input: 'a small', parameters: { max_tokens: 16, temperature: 0 } };
  const { status, body } = await ask(origin, '/v1/jobs?wait=60', {
    model,
    ...(model === NEIGHBOUR ? { input: 'a small knob' } : text),
  });
  return { model, status, job: body as JobView };
}

async function workersOf(origin: string, model: string, id: string): Promise<number> {
  const { body } = await ask(origin, `/v1/models/${model}`);
  return (body as ModelCard).served
    .filter((served) => served.id.startsWith(id))
    .reduce((n, { workers }) => n + workers, 0);
}

/** Bytes of the files of a version. */
function sizeOf(folder: string): number {
  const files = readdirSync(folder, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
  return files.reduce((sum, file) => sum + statSync(join(file.parentPath, file.name)).size, 0);
}

/** Bytes of the worker that `shoal start` has started. */
function residentOf({ pid }: Started): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  const worker = children.find((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('apps/worker'));
  if (worker === undefined) throw new Error('there is no worker');
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${worker}/status`, 'utf8'))![1]) * 1024;
}
