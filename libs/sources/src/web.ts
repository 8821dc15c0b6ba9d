/** A model on any web server: one file by its URL, or a folder by a URL that ends with a slash. */
import { posix } from 'node:path';
import { parseJsonFile, ShoalError } from '@shoal/contracts';
import { z } from 'zod';
import { type Choice, chooseFiles } from './choose.js';
import type { PullContext } from './context.js';
import { unavailable } from './faults.js';
import { textOf } from './http/body.js';
import { type GetContext, get } from './http/get.js';
import { openUrl, refusal } from './http/open-url.js';
import { shown } from './http/shown.js';
import { validatorOf } from './http/validator.js';
import type { UrlSource } from './parse-source.js';
import { withRetries } from './retries.js';
import { isSafePath } from './safe-path.js';
import type { Located, SourceFile } from './source-file.js';

const INDEX = 'model.safetensors.index.json';

/** A web server lists nothing, so these are asked for. */
const NAMES: readonly string[] = [
  'config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'generation_config.json',
  'chat_template.jinja',
  'modules.json',
  'sentence_bert_config.json',
  'config_sentence_transformers.json',
  '1_Pooling/config.json',
  'shoal.json',
  'LICENSE',
  INDEX,
  'model.safetensors',
  'model.onnx',
  'model.onnx_data',
  'onnx/model.onnx',
  'onnx/model.onnx_data',
];

const MAX_INDEX_BYTES = 16 * 1024 * 1024;
const MAX_SHARDS = 1000;

/** `sha256` is what whoever pulls knows of the one file, in lower-case hexadecimal. */
export async function locateUrl(
  { url }: UrlSource,
  sha256: string | undefined,
  pickOnnx: Choice['pickOnnx'],
  context: PullContext,
): Promise<Located> {
  const place = [url.host.replaceAll(/[^\w.-]/g, '-')];
  if (!url.pathname.endsWith('/')) return { ...(await locateFile(url, sha256, context)), place };
  if (sha256 !== undefined) throw unavailable('--sha256 is that of one file, and the URL is of a folder.');
  const listed = await probe(url, context);
  const known = new Map(listed.map((file) => [file.path, file]));
  const chosen = chooseFiles(listed, { source: shown(url), wanted: undefined, pickOnnx });
  return {
    origin: shown(url),
    name: nameOf(url) || url.hostname,
    place,
    files: chosen.paths.map((path) => known.get(path)!),
    entry: undefined,
    notes: chosen.notes,
  };
}

async function locateFile(url: URL, sha256: string | undefined, context: PullContext): Promise<Omit<Located, 'place'>> {
  const path = nameOf(url);
  if (/\.(tar|tar\.gz|tgz)$/i.test(path)) {
    throw unavailable(`${shown(url)} is an archive: shoal fetch-model takes those of models that Shoal has made.`);
  }
  if (!/\.(gguf|onnx)$/i.test(path)) {
    throw unavailable(
      `${shown(url)} is no .gguf and no .onnx file; of a folder with other files name the folder, with a slash at its end.`,
    );
  }
  const digest = sha256 === undefined ? undefined : ({ algorithm: 'sha256', value: sha256 } as const);
  const file = await withRetries(shown(url), context, () => headOf(url, path, context));
  return {
    origin: shown(url),
    name: path.replace(/\.(gguf|onnx)$/i, ''),
    // Servers that stand for each other may have ETags of their own; the hash is the same everywhere.
    files: [sha256 === undefined ? file : { ...file, digest, validator: undefined, version: sha256 }],
    entry: path,
    notes: digest === undefined ? ['its contents cannot be checked but by their length: --sha256 does'] : [],
  };
}

/** @throws ShoalError `source_unavailable` where its name is none that a file can have here */
function nameOf(url: URL): string {
  const raw = posix.basename(url.pathname);
  const name = safeDecode(raw);
  if (name !== '' && !isSafePath(name)) throw unavailable(`${shown(url)} ends with a name that no file can have.`);
  return name;
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The files that are there, of those that a model may have. */
async function probe(folder: URL, context: PullContext): Promise<readonly SourceFile[]> {
  const found: SourceFile[] = [];
  for (const path of NAMES) {
    const file = await findFile(folder, path, context);
    if (file !== undefined) found.push(file);
  }
  if (!found.some(({ path }) => path === INDEX)) return found;
  for (const shard of await shardsOf(folder, context)) {
    if (found.some(({ path }) => path === shard)) continue;
    const file = await findFile(folder, shard, context);
    if (file === undefined) throw unavailable(`${shown(folder)}${INDEX} names ${shard}, which is not there.`);
    found.push(file);
  }
  return found;
}

async function findFile(folder: URL, path: string, context: PullContext): Promise<SourceFile | undefined> {
  const url = within(folder, path);
  return await withRetries(shown(url), context, async () => {
    try {
      return await headOf(url, path, context);
    } catch (error) {
      if (error instanceof NotThere) return undefined;
      throw error;
    }
  });
}

class NotThere extends ShoalError {
  constructor(url: URL) {
    super('source_unavailable', `${shown(url)} answers 404: there is nothing there.`);
  }
}

/** What is there, by asking for its first byte: a URL that is signed is so for GET alone. */
export async function headOf(url: URL, path: string, context: GetContext): Promise<SourceFile> {
  const answer = await get({ url, home: url.origin, headers: { range: 'bytes=0-0' } }, context);
  answer.body.destroy();
  const { status, headers } = answer;
  if (status === 404 || status === 410) throw new NotThere(url);
  const empty = status === 416;
  if (status !== 200 && status !== 206 && !empty) throw refusal(url, answer);
  const length = status === 200 ? headers['content-length'] : headers['content-range']?.split('/')[1];
  const size = Number(/^\d{1,15}$/.exec(length ?? '')?.[0] ?? Number.NaN);
  if (Number.isNaN(size)) throw unavailable(`${shown(url)} does not say how long it is.`);
  const validator = validatorOf(headers);
  return {
    path,
    size,
    digest: undefined,
    validator,
    version: validator?.startsWith('"') ? validator : `${shown(url)} ${validator ?? ''}`,
    title: shown(url),
    open: (request) => openUrl({ url, home: url.origin }, request, context),
  };
}

const Index = z.object({ weight_map: z.record(z.string(), z.string()) });

async function shardsOf(folder: URL, context: PullContext): Promise<readonly string[]> {
  const url = within(folder, INDEX);
  const text = await withRetries(shown(url), context, async () => {
    const { body } = await openUrl({ url, home: url.origin }, { from: 0, validator: undefined }, context);
    return await textOf(body, MAX_INDEX_BYTES, shown(url), context);
  });
  const names = parseIndex(text);
  if (names === undefined) throw unavailable(`${shown(url)} is no index of shards.`);
  const wrong = names.find((name) => !/^model-\d{5}-of-\d{5}\.safetensors$/.test(name));
  if (wrong !== undefined || names.length > MAX_SHARDS) {
    throw unavailable(`${shown(url)} names shards as none are called (${JSON.stringify(wrong ?? names.length)}).`);
  }
  return names;
}

function parseIndex(text: string): readonly string[] | undefined {
  try {
    const { weight_map } = Index.parse(parseJsonFile(Buffer.from(text)));
    return [...new Set(Object.values(weight_map))].sort();
  } catch {
    return undefined;
  }
}

function within(folder: URL, path: string): URL {
  const url = new URL(path, folder);
  url.search = folder.search;
  return url;
}
