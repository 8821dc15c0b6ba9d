/**
 * `shoal import`: from a folder of Hugging Face, or of an exporter, to one version of a model that can be served. The version
 * is there when all of it is: it is made in a folder beside, tried, and then renamed.
 */
import { constants, statfsSync, statSync } from 'node:fs';
import { access, mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { ShoalError, sizeOf } from '@shoal/contracts';
import { checkDraft } from '@shoal/models';
import type { Runtime } from '@shoal/onnxruntime';
import { makeDraft, removeLeftovers } from './import/drafts.js';
import { type Inspected, inspect } from './import/inspect.js';
import { keptFiles } from './import/kept-files.js';
import { modelName } from './import/model-name.js';
import { GGUF, partsOf } from './import/open-weights.js';
import { placeVersion, refuseTaken } from './import/place.js';
import { choose, describe, type Plan } from './import/plan.js';
import { runBuild } from './import/run-thread.js';
import { openSource, type Source } from './import/source.js';
import { copyFiles, hashOf } from './import/source-files.js';
import { tryVariants } from './import/try-variants.js';
import { invalid } from './invalid.js';

export interface ImportRequest {
  /** Or a GGUF or ONNX file. */
  readonly folder: string;
  /** Of the model; the folder's or the file's own, in lower case, where it is left out. */
  readonly name?: string;
  readonly version: number;
  /** Variants to make, the one that requests get first. Where empty: kept, fp32, or what the ONNX files of the folder are in. */
  readonly dtypes: readonly string[];
  /** The folder of model folders. */
  readonly to: string;
  /** Where the folder came from, kept in source.json: `hf:org/name@<commit>`. */
  readonly origin?: string;
  /** Replaces a version that is there. */
  readonly force: boolean;
}

export interface ImportContext {
  readonly runtime: Runtime;
  /** Where workers of this machine keep what they measured of models; undefined: they do so themselves. */
  readonly cacheDir?: string;
  /** Tells a person what was found and what is done, a line at a time. */
  readonly say: (line: string) => void;
  /** Bytes of the variant that have been written, and of how many, once that is known: a few times a second. */
  readonly onProgress?: (variant: string, bytes: number, total: number | undefined) => void;
  /** Ends it; nothing is left of it. */
  readonly signal: AbortSignal;
}

/** Interval in ms between two looks at how much has been written. */
const PROGRESS_MS = 250;

/**
 * Resolves to the folder of the version.
 *
 * @throws ShoalError `model_invalid` saying what the folder is and why it cannot be imported, `invalid_request` for a dtype;
 * the signal's reason
 */
export async function importFolder(request: ImportRequest, context: ImportContext): Promise<string> {
  const source = openSource(resolve(request.folder), request.dtypes);
  try {
    return await importSource(source, request, context);
  } catch (error) {
    throw source.weightsFile !== undefined && GGUF.test(source.weightsFile) ? inMetadata(error) : error;
  } finally {
    source.close();
  }
}

/** A GGUF file has no config.json: its metadata were put into one. */
function inMetadata(error: unknown): unknown {
  if (!(error instanceof ShoalError) || !error.message.startsWith('config.json: ')) return error;
  return invalid(`the metadata, as ${error.message}`, error);
}

async function importSource(source: Source, request: ImportRequest, context: ImportContext): Promise<string> {
  const { folder, weightsFile, onnxFile, path: given } = source;
  const { say, signal } = context;
  const found = inspect(folder, weightsFile, onnxFile);
  const name = modelName(request.name, ownName(source));
  const target = join(request.to, name, String(request.version));
  await refuseTaken(target, request.force);
  const plan = choose(folder, found, request.dtypes);
  await openTarget(request.to, join(request.to, name));
  for (const line of describe(found, plan, given, target)) say(line);
  // What they take may be the room that this one needs.
  for (const line of removeLeftovers(request.to)) say(`  ${line}`);
  refuseWithoutRoom(request.to, plan);
  const draft = makeDraft(request.to);
  try {
    const version = join(draft, name, String(request.version));
    await write({ ...source, origin: request.origin }, version, found, plan, context);
    await tryVariants(draft, folder, plan, context);
    signal.throwIfAborted();
    await placeVersion(version, target, { draft, force: request.force });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  say(`Done: ${target}`);
  return target;
}

/** `model_q4.onnx` and its like say nothing of which model it is, their folder does. */
function ownName({ path, root }: Pick<Source, 'path' | 'root'>): string {
  return basename(/^model(_\w+)?\.onnx$/i.test(basename(path)) ? root : path);
}

/** Makes the folder of models, and finds out whether the model can be put there. */
async function openTarget(to: string, model: string): Promise<void> {
  try {
    await mkdir(to, { recursive: true });
    await access(to, constants.W_OK);
  } catch (error) {
    throw invalid(`${to} is no folder that can be written to (${(error as NodeJS.ErrnoException).code})`, error);
  }
  if (statSync(model, { throwIfNoEntry: false })?.isDirectory() === false) throw invalid(`${model} is no folder`);
}

function refuseWithoutRoom(to: string, { bytes }: Plan): void {
  const { bavail, bsize } = statfsSync(to);
  if (bavail * bsize >= bytes) return;
  throw invalid(`${to} has ${sizeOf(bavail * bsize)} left, and up to ${sizeOf(bytes)} are needed`);
}

/** What a version is made from, as it was given. */
interface From extends Omit<Source, 'close'> {
  readonly origin: string | undefined;
}

async function write(
  from: From,
  version: string,
  { found, shoal }: Inspected,
  { variants, task, sources }: Plan,
  { say, signal, onProgress }: ImportContext,
): Promise<void> {
  const { folder, weightsFile, root, beside } = from;
  await mkdir(join(version, 'onnx'), { recursive: true });
  await copyFiles(folder, version, keptFiles(folder));
  await writeSettings(version, shoal, { variants, task });
  // Before what takes minutes.
  await checkDraft(
    version,
    variants.flatMap(({ exported }) => (exported === undefined ? [] : [join(folder, exported)])),
  );
  for (const { name, exported, file } of variants) {
    const path = join(version, 'onnx', file);
    let total: number | undefined;
    const watch = setInterval(() => onProgress?.(name, writtenTo(join(version, 'onnx'), file), total), PROGRESS_MS);
    try {
      const changes = await runBuild({ folder, weightsFile, exported, dtype: name, path }, signal, (bytes) => {
        total = bytes;
      });
      say(`  ${name}: onnx/${file}, ${sizeOf(writtenTo(join(version, 'onnx'), file))}`);
      for (const change of changes) say(`    ${change}`);
    } finally {
      clearInterval(watch);
    }
  }
  const weights = weightsFile === undefined ? [] : partsOf(weightsFile);
  const files = [...weights, ...[...sources, ...beside].map((file) => join(root, file))];
  await writeFile(join(version, 'source.json'), await recordOf(from, files, found, variants, signal));
}

async function writeSettings(
  version: string,
  shoal: Inspected['shoal'],
  { variants, task }: Pick<Plan, 'variants' | 'task'>,
): Promise<void> {
  const { variants: _, default_variant: __, ...own } = shoal;
  const first = variants[0]?.name;
  const settings = {
    ...(task !== undefined && { task }),
    ...own,
    ...(first !== 'fp32' && { default_variant: first }),
  };
  await writeFile(join(version, 'shoal.json'), `${JSON.stringify(settings, null, 2)}\n`);
}

/** Where the version came from, so that anyone can tell whether it is still that. */
async function recordOf(
  { root, path, origin }: From,
  files: readonly string[],
  found: Inspected['found'],
  variants: Plan['variants'],
  signal: AbortSignal,
): Promise<string> {
  const hashes: Record<string, string> = {};
  for (const file of [...new Set(files)].sort()) hashes[relative(root, file)] = await hashOf(file, signal);
  const weights = found.kind === 'checkpoint' && found.origins.length > 0 ? { weights: found.origins } : {};
  const { kind } = found;
  const record = {
    ...{
      kind,
      ...weights,
      folder: basename(path),
      ...(origin !== undefined && { origin }),
      variants: variants.map(({ name }) => name),
    },
    sha256: hashes,
  };
  return `${JSON.stringify(record, null, 2)}\n`;
}

/** Of an ONNX file, what lies beside it, and what is not yet under its name. */
function writtenTo(folder: string, file: string): number {
  const parts = [file, `${file}.data`].flatMap((name) => [name, `.${name}.${process.pid}.tmp`]);
  return parts.reduce((sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0), 0);
}
