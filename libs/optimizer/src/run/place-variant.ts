/** A graph takes its place among the variants of a version, where workers find it within seconds. */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseJsonFile, ShoalError, ShoalJson } from '@shoal/contracts';
import { graphFiles, type Model, stampOf } from '@shoal/models';
import { graphFileOf } from '../candidate-folder.js';

/**
 * Copies the graph at `from`, with the files that its weights are in, to `onnx/model_<variant>.onnx` of the original's version. A
 * variant of that name that is there is replaced. `note` writes down what was measured of the graph, whose files will have the stamp
 * (see GraphIdentity) that it is told.
 *
 * Figures come before their graph, and say which graph they are of: wherever this is ended, what is there of the two belongs together,
 * or the figures are those of a graph that is not there, which nobody uses. The other way round, what was kept by force could be there
 * without a word about that. At no moment a graph stands beside the weights of another one, and what requests without a variant get
 * stays as it is.
 */
export async function placeVariant(
  original: Model,
  variant: string,
  from: string,
  note: (stamp: string) => Promise<void>,
): Promise<void> {
  const file = graphFileOf(variant);
  const target = join(original.folder, file);
  mkdirSync(dirname(target), { recursive: true });
  const drafts = graphFiles(from).map((path) => ({ path, draft: draftOf(target, path) }));
  try {
    for (const { path, draft } of drafts) copyWhole(path, draft);
    keepDefault(original);
    // Files keep it when they are renamed.
    await note(await stampOf(drafts.map(({ draft }) => draft)));
    const old = original.variants[variant];
    if (old !== undefined) makeRoom(old, target, drafts.length === 1);
    // The graph is the last.
    for (const { path, draft } of drafts.toReversed()) renameSync(draft, join(dirname(target), basename(path)));
    list(original, variant, file);
  } finally {
    for (const { draft } of drafts) rmSync(draft, { force: true });
  }
}

/** A graph that is one file replaces one that is one file in a single step; else there is none for a moment. */
function makeRoom(old: string, target: string, single: boolean): void {
  const data = `${old}.data`;
  if (old === target && single && !existsSync(data)) return;
  rmSync(old, { force: true });
  rmSync(data, { force: true });
}

/** Its name says that it is not whole yet. */
function draftOf(target: string, path: string): string {
  return join(dirname(target), `.${basename(path)}.tmp`);
}

function copyWhole(from: string, to: string): void {
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
  const file = openSync(to, 'r+');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Without a word in shoal.json the first is fp32, else the first by name, which a new one might be. */
function keepDefault({ folder, variant, variants }: Model): void {
  const shoal = settingsIn(folder);
  const first = Object.keys(variants)[0] ?? variant;
  if (shoal.default_variant === undefined && first !== 'fp32')
    writeSettings(folder, { ...shoal, default_variant: first });
}

/** Where shoal.json lists the variants, nothing else is one. */
function list({ folder, variant: own, variants }: Model, variant: string, file: string): void {
  const shoal = settingsIn(folder);
  if (shoal.variants === undefined) return;
  const first = shoal.default_variant ?? Object.keys(variants)[0] ?? own;
  writeSettings(folder, { ...shoal, default_variant: first, variants: { ...shoal.variants, [variant]: file } });
}

/** As they are now: a run takes hours, and another variant, or a person, may have changed them since. */
function settingsIn(folder: string): ShoalJson {
  const path = join(folder, 'shoal.json');
  if (!existsSync(path)) return {};
  try {
    return ShoalJson.parse(parseJsonFile(readFileSync(path)));
  } catch (error) {
    throw new ShoalError('model_invalid', `${path} cannot be read any more: mend it, and run the same again`, {
      cause: error,
    });
  }
}

function writeSettings(folder: string, settings: ShoalJson): void {
  const path = join(folder, 'shoal.json');
  const draft = `${path}.tmp`;
  try {
    writeFileSync(draft, `${JSON.stringify(settings, null, 2)}\n`);
    renameSync(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
}
