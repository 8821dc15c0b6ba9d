/**
 * A blob on its way to a bucket: in one piece where it is small, else in parts, of which a few are under way at once. (Not by
 * @aws-sdk/lib-storage: there an upload that is aborted ends before its parts are gone, and those under way are not stopped.)
 */
import { randomUUID } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { tooLarge, unavailable } from '../failures.js';
import type { Incoming } from '../incoming.js';
import { ANSWER_PATIENCE, type Place } from './client.js';

/** The least that S3 takes as a part that is not the last. */
const PART_BYTES = 5 * 1024 * 1024;
const MAX_PARTS = 10_000;
/** One more is being filled: an upload takes 15 MiB. */
const PARTS_UNDER_WAY = 2;
/** Of a blob: which upload it came from. */
const UPLOAD = 'shoal-upload';

/** What an object is called, as commands take it. */
interface Named {
  readonly Bucket: string;
  readonly Key: string;
}

/** @throws what the client throws; what `incoming` ends in; the signal's reason; ShoalError */
export async function upload(place: Place, key: string, incoming: Incoming, signal?: AbortSignal): Promise<void> {
  const object = { Bucket: place.bucket, Key: `${place.root}${key}` };
  const blocks = incoming.blocks(PART_BYTES);
  try {
    const { value: first = Buffer.alloc(0) } = await blocks.next();
    incoming.throwIfAborted();
    if (first.length < PART_BYTES) await putWhole(place, object, first);
    else await putParts(place, object, first, blocks, incoming, signal);
  } finally {
    // Where the store failed before it had taken all: the source need not go on.
    await blocks.return();
  }
}

async function putWhole(place: Place, object: Named, bytes: Buffer): Promise<void> {
  const id = randomUUID();
  const command = new PutObjectCommand({ ...object, Body: bytes, Metadata: { [UPLOAD]: id } });
  try {
    requireTag(await place.client.send(command));
  } catch (error) {
    if (!(await isThere(place, object, id))) throw error;
  }
}

async function putParts(
  place: Place,
  object: Named,
  first: Buffer,
  rest: AsyncGenerator<Buffer, void, undefined>,
  incoming: Incoming,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { client, patience } = place;
  const id = randomUUID();
  // No signal stops this: nobody would know what to abort.
  const created = await client.send(new CreateMultipartUploadCommand({ ...object, Metadata: { [UPLOAD]: id } }));
  if (!created.UploadId) throw unavailable('does not answer as S3 does: it begins an upload without an id');
  const started = { ...object, UploadId: created.UploadId };
  let whole = false;
  try {
    const parts = await sendParts(place, started, first, rest, signal);
    incoming.throwIfAborted();
    whole = true;
    const command = new CompleteMultipartUploadCommand({ ...started, MultipartUpload: { Parts: parts } });
    requireTag(await client.send(command, { requestTimeout: ANSWER_PATIENCE * patience.headMs }));
  } catch (error) {
    // What it fails of is told already; parts that it leaves are for the bucket's rule (docs/storage.md).
    await client.send(new AbortMultipartUploadCommand(started)).catch(() => undefined);
    // Too late where only the answer was lost.
    if (!whole || !(await isThere(place, object, id))) throw error;
  }
}

async function sendParts(
  { client }: Place,
  started: Named & { readonly UploadId: string },
  first: Buffer,
  rest: AsyncIterable<Buffer>,
  signal: AbortSignal | undefined,
): Promise<CompletedPart[]> {
  const failed = new AbortController();
  const abortSignal = signal === undefined ? failed.signal : AbortSignal.any([failed.signal, signal]);
  const parts: Promise<CompletedPart>[] = [];
  const send = (block: Buffer) => {
    const PartNumber = parts.length + 1;
    if (PartNumber > MAX_PARTS) throw tooLarge(MAX_PARTS * PART_BYTES);
    const command = new UploadPartCommand({ ...started, PartNumber, Body: block });
    const part = client.send(command, { abortSignal }).then((answer) => ({ PartNumber, ETag: requireTag(answer) }));
    // Heard when it is waited for.
    part.catch(() => undefined);
    parts.push(part);
  };
  try {
    send(first);
    for await (const block of rest) {
      send(block);
      await parts.at(-1 - PARTS_UNDER_WAY);
    }
    return await Promise.all(parts);
  } catch (error) {
    failed.abort();
    await Promise.allSettled(parts);
    throw error;
  }
}

/** Whether the store has what it did not say that it has. Where it does not say that either, it counts as not there. */
async function isThere({ client }: Place, object: Named, id: string): Promise<boolean> {
  return await client.send(new HeadObjectCommand(object)).then(
    ({ Metadata }) => Metadata?.[UPLOAD] === id,
    () => false,
  );
}

/** Whoever says 200 and nothing of the blob is no S3. */
function requireTag({ ETag }: { readonly ETag?: string | undefined }): string {
  if (ETag) return ETag;
  throw unavailable('does not answer as S3 does: it takes a file without naming its tag');
}
