/** What a terminal shows once everything runs. */
import type { Config } from './config.js';
import { addressOf } from './processes.js';
import { localServer } from './server.js';

/** Of the models that come with Shoal, the one with the most to show. */
const BUNDLED_MODEL = 'wordnet-topic';

export async function banner(config: Config): Promise<string> {
  const address = addressOf(config);
  const place = placeOf(config);
  const [call, skipped] = await Promise.all([firstCall(config, address), skippedFolders(config)]);
  return `
Shoal is ready on ${address}
Every call, with forms to try it: ${address}/docs
${skipped.length === 0 ? '' : `\nNot served, until it is mended:\n\n${skipped.map((line) => `  ${line}\n`).join('')}`}
${call === undefined ? `There is no model in ${config.SHOAL_MODELS_DIR} to serve yet.` : `A first job, to paste into another terminal:\n\n  ${call}`}

${call === undefined ? 'A' : 'Another'} model, while everything runs (npx shoal help import tells what it takes):

  ${place}npx shoal import hf:<org>/<name>

Which models are loaded, and more that is done while everything runs (npx shoal help models):

  ${place}npx shoal models ls

Ctrl-C stops everything.
`;
}

/** What tells other commands where this API and its models are, where that is not the default. */
function placeOf({ environment }: Config): string {
  const set = (['PORT', 'SHOAL_HOST', 'SHOAL_MODELS_DIR', 'SHOAL_DATA_DIR'] as const).flatMap((name) => {
    const value = environment[name];
    return value === undefined || value === '' ? [] : [`${name}=${quoted(value)} `];
  });
  return set.join('');
}

/** As a shell takes it. */
function quoted(value: string): string {
  return /^[\w./:@%+,-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}

/** The example of a model's own card: the bundled one's, else the first one's; undefined where there is none. */
async function firstCall(config: Config, address: string): Promise<string | undefined> {
  try {
    const api = localServer(config);
    const listed = await api.ask('GET', '/v1/models', { patience: 'none' });
    const { data } = listed.body as { readonly data: readonly { readonly id: string }[] };
    const model = data.find(({ id }) => id === BUNDLED_MODEL) ?? data[0];
    if (model === undefined) return undefined;
    const card = await api.ask('GET', `/v1/models/${encodeURIComponent(model.id)}`, { patience: 'none' });
    return (card.body as { readonly example: { readonly curl: string } }).example.curl;
  } catch {
    const key = config.SHOAL_API_KEYS === undefined ? '' : " -H 'authorization: Bearer <your key>'";
    return `curl -s '${address}/v1/models'${key}`;
  }
}

/** Folders of models that cannot be served, each with the reason. */
async function skippedFolders({ SHOAL_MODELS_DIR }: Config): Promise<readonly string[]> {
  // Loaded for this alone: everything else starts without reading models.
  const { openRepository } = await import('@shoal/models');
  const { problems } = await openRepository(SHOAL_MODELS_DIR).catch(() => ({ problems: [] }));
  return problems.filter(({ served }) => !served).map(({ folder, message }) => `${folder}: ${message}`);
}
