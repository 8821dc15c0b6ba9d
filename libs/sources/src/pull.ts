/** From the name of a source to a folder on this machine that holds what is needed of it, whole and checked. */

import { createHash } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { sizeOf } from '@shoal/contracts';
import type { Choice } from './choose.js';
import type { PullContext } from './context.js';
import { bytesThere, fetchFile } from './download/fetch-file.js';
import { outdated } from './download/outdated.js';
import { place } from './download/place.js';
import { unavailable } from './faults.js';
import { locateFolder } from './folder.js';
import { textOf } from './http/body.js';
import { parseSource } from './parse-source.js';
import { withRetries } from './retries.js';
import { refuseLarger } from './sizes.js';
import { isKnown, type Located, type SourceFile } from './source-file.js';
import { locateUrl } from './web.js';

export interface PullRequest {
  /** A folder, a file, an http(s) URL, `s3://bucket/prefix`, `hf:org/name[@revision][/file]`. */
  readonly source: string;
  /** The folder to make; undefined: one below `downloads` that is named after the source and its contents. */
  readonly to: string | undefined;
  readonly downloads: string;
  /** Of all files together; undefined: 256 GiB. */
  readonly maxBytes: number | undefined;
  /** Of the one file of an http(s) URL, in lower-case hexadecimal. */
  readonly sha256: string | undefined;
  /** Chooses among ONNX files; undefined: the one in full precision. */
  readonly pickOnnx: Choice['pickOnnx'];
  /** Looks at what would be fetched, before it is: throws where it is of no use. */
  readonly check?: (found: FoundSource) => Promise<void>;
}

export interface FoundSource {
  /** Of the folder that would be made, or of the one file in it that is the model. */
  readonly name: string;
  /** Of the files that would be fetched. */
  readonly paths: readonly string[];
  /** The text of a small one of them. */
  readonly read: (path: string) => Promise<string>;
}

export interface Pulled {
  readonly folder: string;
  /** The folder, or the one file in it that is the model. */
  readonly path: string;
  /** The source, pinned to what it was when it was pulled. */
  readonly origin: string;
  /** False where it was there already. */
  readonly isNew: boolean;
}

const MAX_BYTES = 256 * 2 ** 30;
/** Of a file that is read before the others are fetched: the largest config.json have some hundred kilobytes. */
const MAX_TEXT_BYTES = 16 * 2 ** 20;
/** Files that are fetched at a time: what one connection brings is often bounded. */
const AT_ONCE = 4;

/**
 * Resolves once the folder is there. A pull that fails or is stopped leaves no folder, and the next one of the same contents
 * goes on where it was.
 *
 * @throws ShoalError `source_unavailable` saying what is wrong and what to do; the signal's reason
 */
export async function pull(request: PullRequest, context: PullContext): Promise<Pulled> {
  const located = await locate(request, context);
  const { files, origin, name, notes } = located;
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  refuseLarger(origin, bytes, request.maxBytes ?? MAX_BYTES);
  const key = keyOf(files);
  // The name comes last: it is what a model is called that is imported from there.
  const folder = request.to ?? join(request.downloads, ...located.place.map(folderName), key, folderName(name));
  await request.check?.({
    name: basename(located.entry ?? folder),
    paths: files.map(({ path }) => path),
    read: (path) => textIn(files.find((file) => file.path === path)!, context),
  });
  context.say(`Pulling ${origin}: ${files.length} ${files.length === 1 ? 'file' : 'files'}, ${sizeOf(bytes)}`);
  for (const note of notes) context.say(`  ${note}`);
  const known = files.filter(isKnown).length;
  context.onStart?.(known === files.length ? 'all' : known === 0 ? 'none' : 'some');
  const record = { source: origin, files: Object.fromEntries(files.map(({ path, version }) => [path, version])) };
  const others = request.to === undefined ? join(request.downloads, ...located.place.map(folderName)) : dirname(folder);
  for (const left of await outdated(others, folder, record)) {
    context.say(`  it has changed since a pull of it was stopped, and is fetched anew; what that has left: ${left}`);
  }
  const isNew = await place({
    target: folder,
    key,
    record,
    fill: (partial) => fill(partial, files, context),
  });
  if (!isNew && !files.every(isKnown)) {
    context.say(`  nothing tells whether it has changed since it was pulled: to have it again, remove ${folder}`);
  }
  const path = located.entry === undefined ? folder : join(folder, located.entry);
  return { folder, path, origin, isNew };
}

async function locate(request: PullRequest, context: PullContext): Promise<Located> {
  const source = parseSource(request.source, context.hub.endpoint);
  const { sha256, pickOnnx } = request;
  // Their clients are loaded where they are needed only.
  if (sha256 !== undefined && source.kind !== 'url') {
    throw unavailable('--sha256 is for https:// URLs: other sources know the hashes of their files, or have none.');
  }
  if (source.kind === 'hub') return await (await import('./hub/hub.js')).locateHub(source, pickOnnx, context);
  if (source.kind === 's3') return await (await import('./s3.js')).locateS3(source, pickOnnx, context);
  if (source.kind === 'url') return await locateUrl(source, sha256, pickOnnx, context);
  return await locateFolder(source, pickOnnx);
}

/** Of a folder, with what is put to it until it is whole. */
const MAX_NAME = 200;

/** Whatever a source is called, one folder. */
function folderName(text: string): string {
  return (
    text
      .replaceAll(/[^\w.-]/g, '-')
      .replace(/^[.-]+/, '')
      .slice(0, MAX_NAME) || 'model'
  );
}

/** The same for the same files. */
function keyOf(files: readonly SourceFile[]): string {
  const lines = files.map(({ path, size, version }) => JSON.stringify([path, size, version])).sort();
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16);
}

/** @throws ShoalError `source_unavailable`; the signal's reason */
async function textIn(file: SourceFile, context: PullContext): Promise<string> {
  return await withRetries(file.title, context, async () => {
    const { body } = await file.open({ from: 0, validator: undefined, signal: context.signal });
    return await textOf(body, MAX_TEXT_BYTES, file.title, context);
  });
}

async function fill(folder: string, files: readonly SourceFile[], context: PullContext): Promise<void> {
  const total = files.reduce((sum, { size }) => sum + size, 0);
  await refuseWithoutRoom(folder, total, files);
  const sizes = new Map<string, number>();
  let done = 0;
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const waiting = [...files].sort((a, b) => b.size - a.size);
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const { path } = file;
      const onSize = (bytes: number) => {
        done += bytes - (sizes.get(path) ?? 0);
        sizes.set(path, bytes);
        context.onProgress?.({ file: path, done, total });
      };
      await fetchFile(file, join(folder, path), { ...context, signal, onSize });
    }
  };
  const workers = Array.from({ length: Math.min(AT_ONCE, files.length) }, () =>
    work().catch((error: unknown) => {
      // The first one that fails ends the others, whose end is no news.
      stop.abort(error);
      throw error;
    }),
  );
  await Promise.allSettled(workers);
  signal.throwIfAborted();
}

async function refuseWithoutRoom(folder: string, total: number, files: readonly SourceFile[]): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const there = await Promise.all(files.map((file) => bytesThere(file, join(folder, file.path))));
  const needed = total - there.reduce((sum, bytes) => sum + bytes, 0);
  if (bavail * bsize >= needed) return;
  throw unavailable(`${folder} has room for ${sizeOf(bavail * bsize)}, and ${sizeOf(needed)} are still to come.`);
}
