/**
 * Uploads: a record is begun, the file goes to the store as it comes, and its tenant sees it once it is whole. One that
 * breaks off leaves nothing: its record is given up, here or by the sweeper, and with it what the store has.
 */
import type { IncomingMessage } from 'node:http';
import { FileFields, faultsError, MAX_EXPIRY_SECONDS, MAX_FILENAME, parse, ShoalError } from '@shoal/contracts';
import { type FileName, type FileRecord, pieceKey } from '@shoal/queue';
import type { Written } from '@shoal/storage';
import type { Permit } from '../http/permit.js';
import type { Kept } from './parts.js';
import { type FormFile, fileTooLarge, readForm } from './read-form.js';

/** The record is given up when this process has not been heard of for so long, and how often it is heard. */
const LEASE_MS = 5 * 60_000;
const EXTEND_MS = 60_000;
const LINE_FEED = 10;
/** As OpenAI says it. */
const NOT_JSONL = 'Invalid file format for Batch API. Must be .jsonl';

export interface UploadLimits {
  /** Most bytes and lines of one file. */
  readonly bytes: number;
  readonly lines: number;
}

interface Upload {
  readonly permit: Permit;
  readonly raw: IncomingMessage;
  readonly idempotencyKey: string | undefined;
}

interface Stored extends Written {
  readonly name: FileName;
  readonly filename: string;
}

export class Uploads {
  constructor(
    private readonly kept: Kept,
    private readonly limits: UploadLimits,
  ) {}

  /**
   * @throws ShoalError `invalid_request`, `malformed_body`, `body_too_slow`, `unsupported_media_type`, `file_too_large`,
   *   `limit_reached`, `idempotency_conflict`, `too_many_requests`, `storage_full`, `storage_unavailable`,
   *   `redis_unavailable`
   */
  async receive({ permit, raw, idempotencyKey }: Upload): Promise<FileRecord> {
    const { records } = this.kept;
    permit.transfer();
    const declared = Number(raw.headers['content-length'] ?? Number.POSITIVE_INFINITY);
    const reservedBytes = Math.min(declared, this.limits.bytes);
    let begun: FileName | undefined;
    try {
      const { fields, file } = await readForm(raw, this.limits.bytes, async (part) => {
        // Whatever is known to be wrong is told before the file is read.
        const { expires_after: _mayGoOn, ...before } = nested(part.fields);
        parse(FileFields.partial(), before);
        checkPart(part);
        const { filename } = part;
        begun = await records.begin(permit.tenant.name, { purpose: 'batch', filename, reservedBytes }, LEASE_MS);
        return { ...(await this.write(begun, part)), name: begun, filename };
      });
      const { expires_after: expiry } = parse(FileFields, nested(fields));
      if (file === undefined)
        throw faultsError([{ path: 'file', message: 'required: a file whose name ends with .jsonl' }]);
      const seconds = expiry?.seconds ?? MAX_EXPIRY_SECONDS;
      return await records.finish(file.name, {
        expiresAfterMs: seconds * 1000,
        idempotency:
          idempotencyKey === undefined ? undefined : { key: idempotencyKey, fingerprint: printOf(file, seconds) },
      });
    } catch (error) {
      // Where Redis is away the sweeper does it.
      if (begun !== undefined) await records.abandon(begun).catch(() => undefined);
      throw lost(error);
    }
  }

  private async write(name: FileName, { bytes, signal }: FormFile): Promise<Written> {
    const { records, store } = this.kept;
    const key = pieceKey(name.id);
    const extending = setInterval(() => void records.extend(name, LEASE_MS).catch(() => undefined), EXTEND_MS);
    try {
      const written = await store.write(key, withinLimits(bytes, this.limits), { signal });
      await records.append(name, LEASE_MS, 0, { key, bytes: written.bytes }).catch(async (error: unknown) => {
        // A record that was given up meanwhile leads nobody to it.
        await store.remove(key).catch(() => undefined);
        throw error;
      });
      return written;
    } finally {
      clearInterval(extending);
    }
  }
}

function checkPart({ field, filename }: FormFile): void {
  if (field !== 'file') throw faultsError([{ path: field, message: 'unknown field' }]);
  if (filename.length > MAX_FILENAME) {
    throw faultsError([{ path: 'file', message: `its name may have ${MAX_FILENAME} characters` }]);
  }
  // There is no other purpose, whether it has been read by now or not.
  if (!/\.jsonl$/i.test(filename)) {
    throw new ShoalError('invalid_request', NOT_JSONL, { faults: [{ path: 'file', message: NOT_JSONL }] });
  }
}

async function* withinLimits(
  source: AsyncIterable<Uint8Array>,
  limits: UploadLimits,
): AsyncGenerator<Uint8Array, void> {
  let bytes = 0;
  let ends = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes > limits.bytes) throw fileTooLarge(limits.bytes);
    for (let at = chunk.indexOf(LINE_FEED); at >= 0; at = chunk.indexOf(LINE_FEED, at + 1)) ends += 1;
    const lines = chunk.at(-1) === LINE_FEED ? ends : ends + 1;
    if (lines > limits.lines) {
      throw faultsError([{ path: 'file', message: `may have ${limits.lines} lines (SHOAL_FILE_MAX_LINES)` }]);
    }
    yield chunk;
  }
}

/** `expires_after[seconds]` of a form is a field of `expires_after`. */
function nested(fields: ReadonlyMap<string, string>): Record<string, unknown> {
  const expiry: Record<string, string> = Object.create(null);
  const rest: Record<string, unknown> = Object.create(null);
  for (const [name, value] of fields) {
    const inner = /^expires_after\[(\w+)\]$/.exec(name)?.[1];
    if (inner === undefined) rest[name] = value;
    else expiry[inner] = value;
  }
  return { ...rest, ...(Object.keys(expiry).length > 0 && { expires_after: expiry }) };
}

/** Uploads with one Idempotency-Key have to be alike in this. */
function printOf({ sha256, filename }: Stored, seconds: number): string {
  return `${sha256}.${seconds}.${encodeURIComponent(filename)}`;
}

/** What was not heard of for too long, because this process stood still or Redis was away. */
function lost(error: unknown): unknown {
  if (!(error instanceof ShoalError) || error.code !== 'file_not_found') return error;
  return new ShoalError('storage_unavailable', 'The upload was given up; send it again.', { cause: error });
}
