/** One file: goes on where it was cut off, and has its name only once it is whole, checked and on the disk. */
import { lstat, mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { PullContext } from '../context.js';
import { isOfDisk, NoSuchPart, PassingFault, unavailable } from '../faults.js';
import { chunksOf } from '../http/body.js';
import { isPartOf } from '../http/validator.js';
import { withRetries } from '../retries.js';
import { PART } from '../safe-path.js';
import { isKnown, type SourceFile } from '../source-file.js';
import { nameOf } from './digest.js';
import { PartFile } from './part-file.js';

/** What lies beside the file until it is whole. Its name begins with a dot, as that of no file of a source does. */
function partOf(path: string): string {
  return join(dirname(path), `.${basename(path)}${PART}`);
}

/** Bytes beyond what any try had before after which its failing is no reason to give up sooner. */
const PROGRESS_BYTES = 1024 * 1024;

/** `onSize` is told how many bytes are there whenever that changes. */
export type FetchContext = Pick<PullContext, 'say' | 'signal' | 'patience'> & {
  readonly onSize: (bytes: number) => void;
};

/**
 * Resolves once `path` is the file.
 *
 * @throws ShoalError `source_unavailable` with nothing under that name, and what can be gone on with beside it
 */
export async function fetchFile(file: SourceFile, path: string, context: FetchContext): Promise<void> {
  const there = isKnown(file) ? await lstat(path).catch(() => undefined) : undefined;
  if (there?.isFile() && there.size === file.size) return context.onSize(file.size);
  try {
    await fetchInto(path, file, context);
  } catch (error) {
    if (!isOfDisk(error)) throw error;
    throw unavailable(`${path} cannot be written (${error.code}); what has come is kept.`, error);
  }
}

async function fetchInto(path: string, file: SourceFile, context: FetchContext): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const part = await PartFile.open(partOf(path), file, context.signal);
  try {
    await fetchWhole(file, part, context);
    await part.flush();
  } catch (error) {
    // What nothing can be gone on with is in the way only.
    if (part.size === 0 || !isKnown(file)) await rm(partOf(path), { force: true });
    throw error;
  } finally {
    await part.close();
  }
  await rename(partOf(path), path);
}

async function fetchWhole(file: SourceFile, part: PartFile, context: FetchContext): Promise<void> {
  // Nothing tells whether what an earlier process left is of this file.
  if (!isKnown(file))
    await beginAnew(part, file, context, 'nothing tells whether what is here is of the same contents');
  const pieced = part.size > 0;
  context.onSize(part.size);
  await fetchBytes(file, part, context);
  let came = part.digest();
  if (came === file.digest?.value) return;
  if (pieced) await beginAnew(part, file, context, 'what was here is of other contents');
  else await part.clear();
  context.onSize(0);
  if (pieced) {
    // What was there may have been of something else: once more, from the beginning.
    await fetchBytes(file, part, context);
    came = part.digest();
    if (came === file.digest?.value) return;
    await part.clear();
  }
  const { algorithm, value } = file.digest!;
  throw unavailable(`${file.title} is not what was announced: its ${nameOf(algorithm)} is ${came}, and not ${value}.`);
}

async function fetchBytes(file: SourceFile, part: PartFile, context: FetchContext): Promise<void> {
  let { validator } = file;
  let furthest = part.size;
  await withRetries(file.title, context, async (progressed) => {
    // An empty file is asked for as well, unless it is there.
    if (part.size === file.size && part.size > 0) return;
    // Whether what the try before has left is of the same contents as what would come now, nothing tells.
    if (validator === undefined && file.digest === undefined) await part.clear();
    const opened = await openPart(file, part, validator, context);
    validator = opened.validator ?? validator;
    for await (const chunk of chunksOf(opened.body, context)) {
      if (part.size + chunk.length > file.size) {
        await part.clear();
        throw unavailable(`${file.title} is longer than the ${file.size} bytes that were announced.`);
      }
      await part.append(chunk);
      context.onSize(part.size);
      if (part.size - furthest <= PROGRESS_BYTES) continue;
      furthest = part.size;
      progressed();
    }
    if (part.size < file.size) throw new PassingFault(`ended after ${part.size} of ${file.size} bytes`);
  });
}

async function openPart(file: SourceFile, part: PartFile, validator: string | undefined, context: FetchContext) {
  const { signal } = context;
  const opened = await file.open({ from: part.size, validator, signal }).catch(async (error: unknown) => {
    if (error instanceof NoSuchPart) await part.clear();
    throw error;
  });
  if (opened.size !== undefined && opened.size !== file.size) {
    opened.body.destroy();
    throw unavailable(`${file.title} has ${opened.size} bytes, and ${file.size} were announced.`);
  }
  if (file.validator !== undefined && opened.validator !== undefined && opened.validator !== file.validator) {
    opened.body.destroy();
    throw unavailable(`${file.title} was changed while it was fetched: pull it again.`);
  }
  // A server may not know If-Range. Where there is a digest, that tells in the end.
  if (opened.start > 0 && file.digest === undefined && !isPartOf(validator ?? '', opened.validator)) {
    opened.body.destroy();
    await part.clear();
    throw new NoSuchPart('answers with a part and does not say of which version');
  }
  if (opened.start !== part.size) await beginAnew(part, file, context, 'the server gives no part of what is here');
  return opened;
}

/** What has come of it is no use. */
async function beginAnew(part: PartFile, { title }: SourceFile, { say }: FetchContext, why: string): Promise<void> {
  if (part.size > 0) say(`  ${title} is fetched from its beginning: ${why}`);
  await part.clear();
}

/** Bytes of the file that lie at `path` or beside it, whether or not they will do. */
export async function bytesThere({ size }: SourceFile, path: string): Promise<number> {
  const found = await lstat(path).catch(() => lstat(partOf(path)).catch(() => undefined));
  return Math.min(found?.size ?? 0, size);
}
