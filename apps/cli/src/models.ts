/** `shoal models`: which models there are and how they stand, loading and unloading them, and taking one away. */
import { lstat, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  formatSelector,
  type ListedModel,
  type ModelCard,
  ModelSelector,
  parseSelector,
  type ServedModel,
  type StandIn,
} from '@shoal/contracts';
import type { Repository } from '@shoal/models';
import { UserError } from '@shoal/tools/user-error';
import type { Config } from './config.js';
import { ApiAway } from './patient-api.js';
import { openServer } from './server.js';
import { table } from './table.js';

/** What `shoal models` was asked for. */
export type ModelsRequest =
  | { readonly what: 'ls' }
  | { readonly what: 'show' | 'load' | 'unload'; readonly name: string }
  | { readonly what: 'rm'; readonly name: string; readonly all: boolean };

type Say = (line: string) => void;

/** @throws UserError saying what is wrong with the name, or that the API does not run */
export async function manageModels(request: ModelsRequest, config: Config, say: Say = console.log): Promise<void> {
  switch (request.what) {
    case 'ls':
      return await listModels(config, say);
    case 'show':
      return await showModel(config, request.name, say);
    case 'rm':
      return await removeModel(config, request.name, request.all, say);
    default:
      return await wishModel(config, request.name, request.what, say);
  }
}

/** Every version and variant, and where it is loaded. Without an API those of the folder. @throws ApiAway behind them */
async function listModels(config: Config, say: Say): Promise<void> {
  try {
    const { data } = (await callServer(config, 'GET', '/v1/models')) as { readonly data: readonly ListedModel[] };
    const cards = await Promise.all(data.map(({ id }) => readCard(config, id)));
    const served = new Map(
      cards.flatMap(({ task, served }) => served.map((own) => [own.id, { ...own, task }] as const)),
    );
    const rows = [...served.values()].map(({ id, state, workers, task }) => {
      return [id, wordsOf(state), state === 'loaded' ? workersOf(workers) : '', task];
    });
    const aliases = data.flatMap(({ id, stands_for: all }) => (all === undefined ? [] : [[id, standInsOf(all)]]));
    const { problems } = await readFolder(config).catch(() => ({ problems: [] }));
    const reasons = reasonsOf([...served.values()]);
    for (const line of [...table(rows), ...table(aliases), ...reasons, ...problemsOf(config, problems)]) say(line);
  } catch (error) {
    if (!(error instanceof ApiAway)) throw error;
    const { models, aliases, problems } = await readFolder(config);
    const rows = models.map((model) => [formatSelector(model), 'not known', '', model.task]);
    const names = [...aliases].map(([name, shares]) => {
      return [name, standInsOf(shares.map(({ target, weight }) => ({ model: target, weight })))];
    });
    for (const line of [...table(rows), ...table(names), ...problemsOf(config, problems)]) say(line);
    throw new ApiAway(`${error.message} This is what lies in ${config.SHOAL_MODELS_DIR}.`);
  }
}

async function readFolder({ SHOAL_MODELS_DIR }: Config): Promise<Repository> {
  // Loaded for this alone: everything else starts without reading models.
  const { openRepository } = await import('@shoal/models');
  return await openRepository(SHOAL_MODELS_DIR);
}

/** What lies in the folder of models and is none that can be served, or is not used. */
function problemsOf({ SHOAL_MODELS_DIR }: Config, problems: Repository['problems']): string[] {
  return problems.map(({ folder, message, served }) => {
    return `${join(SHOAL_MODELS_DIR, folder)}${folder === 'models.json' || served ? '' : ' is not served'}: ${message}`;
  });
}

/** The card of a model. */
async function showModel(config: Config, name: string, say: Say): Promise<void> {
  const { example, inputs, outputs, labels, ...card } = await readCard(config, name);
  const rows = Object.entries(card).flatMap(([field, value]): string[][] => {
    if (field === 'stands_for') return [['stands for', standInsOf(card.stands_for ?? []).replace(/^stands for /, '')]];
    if (value === null || field === 'object' || field === 'owned_by' || field === 'created') return [];
    if (field === 'served')
      return card.served.map((own, n) => [
        n === 0 ? 'versions' : '',
        own.id,
        wordsOf(own.state),
        workersOf(own.workers),
        ...measuredOf(own),
      ]);
    return [[field, typeof value === 'object' ? JSON.stringify(value) : String(value)]];
  });
  for (const line of [...table(rows), ...reasonsOf(card.served)]) say(line);
  if (labels !== undefined)
    say(`${labels.length} labels: ${labels.slice(0, 10).join(', ')}${labels.length > 10 ? ', ...' : ''}`);
  for (const { name: tensor, type, shape } of inputs ?? []) say(`takes ${tensor}: ${type} [${shape.join(', ')}]`);
  for (const { name: tensor, type, shape } of outputs ?? []) say(`gives ${tensor}: ${type} [${shape.join(', ')}]`);
  say(example.curl);
}

/** Leaves the wish for all workers. */
async function wishModel(config: Config, name: string, wish: 'load' | 'unload', say: Say): Promise<void> {
  const card = (await callServer(config, 'POST', `/v1/models/${encodeURIComponent(name)}/${wish}`)) as ModelCard;
  if (wish === 'load') return say(`${name} takes jobs; workers load it within seconds.`);
  // A name alone means every version of it.
  const meant = parseSelector(name);
  const all = card.served.filter(({ id }) => {
    const { version, variant } = parseSelector(id);
    return [version, undefined].includes(meant.version) && [variant, undefined].includes(meant.variant);
  });
  const [takes, end, it] = all.length > 1 ? ['take', 'they have', 'them'] : ['takes', 'it has', 'it'];
  const ids = all.map(({ id }) => id).join(', ');
  say(`${ids} ${takes} no more jobs; workers end what ${end} taken, and unload ${it}.`);
  say(`"npx shoal models load ${name}" takes that back.`);
}

/** Deletes the folder of a version, or of a model with one; what runs of it ends first. `all`: of every version. */
async function removeModel(config: Config, asked: string, all: boolean, say: Say): Promise<void> {
  const { name, version, variant } = parseSelector(asked);
  if (!ModelSelector.safeParse(asked).success || variant !== undefined) {
    throw new UserError(`${JSON.stringify(asked)} is no name of a model or version: write name or name@2.`);
  }
  const root = config.SHOAL_MODELS_DIR;
  const versions = (await readdir(join(root, name)).catch(() => undefined))?.filter((entry) =>
    /^[1-9][0-9]{0,8}$/.test(entry),
  );
  if (versions === undefined) throw new UserError(`there is no model ${name} in ${root}.`);
  // Without versions in it the folder of the name is version 1 itself.
  const whole = version === undefined || versions.length === 0;
  if (version !== undefined && !(versions.length === 0 ? version === '1' : versions.includes(version))) {
    throw new UserError(`there is no version ${version} of ${name}; there is ${versions.join(', ') || '1'}.`);
  }
  if (whole && versions.length > 1 && !all) {
    throw new UserError(
      `${name} has versions ${versions.sort().join(', ')}: name one, as ${name}@${versions[0]}, or add --all.`,
    );
  }
  const folder = whole ? join(root, name) : join(root, name, version);
  if (!(await lstat(folder)).isDirectory()) throw new UserError(`${folder} is no folder; it is left as it is.`);
  for (const left of await readdir(root)) {
    // Of one that was killed: it is to be deleted all the same.
    if (left.startsWith('.removed-')) await rm(join(root, left), { recursive: true, force: true });
  }
  // Gone at once, however long deleting takes; names with a dot are nobody's model.
  const draft = join(root, `.removed-${process.pid}-${name}`);
  await rename(folder, draft);
  await rm(draft, { recursive: true, force: true });
  // What else lies beside the last version stays: drafts, notes.
  if (!whole) await rmdir(join(root, name)).catch(() => undefined);
  say(`${folder} is deleted; workers that have it end its jobs and unload it.`);
}

async function callServer(config: Config, method: 'GET' | 'POST', path: string): Promise<unknown> {
  const { body } = await openServer(config).ask(method, path, { patience: 'none' });
  return body;
}

async function readCard(config: Config, name: string): Promise<ModelCard> {
  return (await callServer(config, 'GET', `/v1/models/${encodeURIComponent(name)}`)) as ModelCard;
}

/** Why those of them that failed do. */
function reasonsOf(served: ModelCard['served']): string[] {
  return served.flatMap(({ id, reason }) => (reason === undefined ? [] : [`${id} does not load: ${reason}`]));
}

/** What a variant loses, in the unit that requests say what they allow in, and how much faster it is. */
function measuredOf({ original, quality }: ServedModel): string[] {
  if (quality === undefined) return original ? ['the original'] : [];
  const { metric, mean, bound } = quality.accuracy_loss;
  const speeds = quality.speeds.map(({ batch, tokens, ratio }) => `${ratio.toFixed(2)} (${batch} × ${tokens} tokens)`);
  const loss = `loses ${figure(mean)} of ${metric}, ${figure(bound)} at most`;
  const told = [quality.verdict === 'forced' ? `${loss} (forced)` : loss, `times as fast: ${speeds.join(', ')}`];
  if (quality.escalated !== undefined) told.push(`has the original for ${figure(quality.escalated)} of the texts`);
  return told;
}

function figure(value: number): string {
  return String(Number(value.toPrecision(2)));
}

function wordsOf(state: ServedModel['state']): string {
  return state.replace('_', ' ');
}

function workersOf(count: number): string {
  return count === 1 ? '1 worker' : `${count} workers`;
}

/** What a name of models.json stands for, in shares where there are several. */
function standInsOf(all: readonly StandIn[]): string {
  const sum = all.reduce((total, { weight }) => total + weight, 0);
  const percent = (weight: number) => `${Number(((100 * weight) / sum).toPrecision(3))} %`;
  const parts = all.map(({ model, weight }) => (all.length === 1 ? model : `${model} (${percent(weight)})`));
  return `stands for ${parts.join(', ')}`;
}
