/** A model on a disk that is mounted here: a folder, or one file of it. */
import { createReadStream } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { type Choice, chooseFiles } from './choose.js';
import { PassingFault, unavailable } from './faults.js';
import type { FolderSource } from './parse-source.js';
import { isSafePath } from './safe-path.js';
import type { Located, SourceFile } from './source-file.js';

const MAX_FILES = 50_000;

/** @throws ShoalError `source_unavailable` where there is nothing */
export async function refuseMissing({ path, hubName }: FolderSource): Promise<void> {
  if ((await lstat(path).catch(() => undefined)) !== undefined) return;
  const hint = hubName === undefined ? '' : `; for a model of the hub: hf:${hubName}`;
  throw unavailable(`there is no folder and no file ${path}${hint}.`);
}

/** @throws ShoalError `source_unavailable` */
export async function locateFolder(source: FolderSource, pickOnnx: Choice['pickOnnx']): Promise<Located> {
  await refuseMissing(source);
  const { path } = source;
  const stat = await lstat(path);
  if (stat.isSymbolicLink()) throw unavailable(`${path} is a symbolic link: name what it leads to.`);
  const root = stat.isDirectory() ? path : dirname(path);
  const listed = await filesIn(root);
  const wanted = stat.isDirectory() ? undefined : basename(path);
  const chosen = chooseFiles(listed, { source: root, wanted, pickOnnx });
  const known = new Map(listed.map((file) => [file.path, file]));
  return {
    origin: path,
    name: basename(path).replace(/\.(gguf|onnx)$/i, ''),
    place: ['local', basename(root)],
    files: chosen.paths.map((file) => known.get(file)!),
    entry: chosen.entry,
    notes: chosen.notes,
  };
}

/** Of the folder and those in it that a model may have; links are left out, wherever they lead. */
async function filesIn(root: string): Promise<readonly SourceFile[]> {
  const files: SourceFile[] = [];
  const inner = (await readdir(root, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  for (const folder of [root, ...inner.map(({ name }) => join(root, name))]) {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const file = join(folder, entry.name);
      const path = relative(root, file).split(sep).join('/');
      if (!entry.isFile() || !isSafePath(path)) continue;
      files.push(await sourceFile(file, path));
      if (files.length > MAX_FILES)
        throw unavailable(`${root} has more than ${MAX_FILES} files: is it a model's folder?`);
    }
  }
  return files;
}

async function sourceFile(file: string, path: string): Promise<SourceFile> {
  const listed = await lstat(file);
  const changed = String(listed.mtimeMs);
  const open: SourceFile['open'] = async ({ from }) => {
    const { size, mtimeMs } = await lstat(file).catch((error: NodeJS.ErrnoException) => {
      throw new PassingFault(`cannot be read (${error.code})`);
    });
    if (size !== listed.size || mtimeMs !== listed.mtimeMs) {
      throw unavailable(`${file} was changed while it was read: pull it again.`);
    }
    return { start: from, size, validator: changed, body: createReadStream(file, { start: from }) };
  };
  return { path, size: listed.size, digest: undefined, validator: changed, version: changed, title: file, open };
}
