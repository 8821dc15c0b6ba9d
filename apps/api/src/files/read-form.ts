/**
 * A form with one file (multipart/form-data), as it comes: what the file holds is handed on as it is read, so that none of it is
 * kept here, and fields may stand before or after it.
 */
import type { IncomingMessage } from 'node:http';
import { Busboy, type BusboyFileStream, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy';
import { faultsError, ShoalError } from '@shoal/contracts';
import { Pace } from '../http/pace.js';

/** What a form may have beside the bytes of its file. */
const LIMITS = { fields: 10, fieldSize: 1024, parts: 20, headerPairs: 20, headerSize: 16 * 1024 };
const FORM_BYTES = 64 * 1024;

export interface FormFile {
  /** Of its part in the form. */
  readonly field: string;
  /** As the client names it, without folders. */
  readonly filename: string;
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Fields that stand before it. */
  readonly fields: ReadonlyMap<string, string>;
  /** Aborts when nothing comes of the form. */
  readonly signal: AbortSignal;
}

export interface Form<Taken> {
  readonly fields: ReadonlyMap<string, string>;
  /** What became of its file; undefined where it has none. */
  readonly file: Taken | undefined;
}

/**
 * Reads the form of a request; `take` is called once, as soon as the file begins, and has to read all of it.
 *
 * @throws what `take` throws; ShoalError `malformed_body`, `body_too_slow`, `file_too_large` where the form has more than
 *   `maxBytes` and some fields, `invalid_request`, `unsupported_media_type`. By then `take` has ended, and the rest of the
 *   body is read and thrown away.
 */
export async function readForm<Taken>(
  raw: IncomingMessage,
  maxBytes: number,
  take: (file: FormFile) => Promise<Taken>,
): Promise<Form<Taken>> {
  const form = openForm(raw);
  const fields = new Map<string, string>();
  const failed = new AbortController();
  let stream: BusboyFileStream | undefined;
  let taken: Promise<Taken> | undefined;
  let length = 0;

  const fail = (error: unknown) => {
    if (failed.signal.aborted) return;
    failed.abort(error);
    stream?.destroy(error instanceof Error ? error : undefined);
  };
  const breakOff = () => fail(malformed('The body ended early.'));
  const pace = new Pace(() => fail(new ShoalError('body_too_slow', 'Send the file without pauses.')));
  const move = (chunk: Buffer) => {
    length += chunk.length;
    pace.move(chunk.length);
    if (length > maxBytes + FORM_BYTES) fail(fileTooLarge(maxBytes));
  };
  const close = () => {
    if (!raw.complete) breakOff();
  };

  form.on('field', (name, value, _, truncated) => {
    if (fields.has(name)) fail(fault(name, 'given twice'));
    else if (truncated) fail(fault(name, 'is too long'));
    else fields.set(name, value);
  });
  form.on('file', (field, bytes, filename: string | undefined) => {
    // Who reads it hears of it as well.
    bytes.on('error', () => undefined);
    if (taken !== undefined) return fail(fault(field, 'send one file'));
    if (!filename) return fail(fault(field, 'send a file that has a name'));
    stream = bytes;
    // Halves of characters, which a name in UTF-16 may have, can be written nowhere.
    taken = take({ field, filename: Buffer.from(filename).toString(), bytes, fields, signal: failed.signal });
    taken.catch(fail);
  });
  for (const limit of ['fieldsLimit', 'partsLimit'] as const) {
    form.on(limit, () => fail(malformed(`The form has more than ${LIMITS.fields} fields.`)));
  }
  const whole = new Promise<void>((resolve) => {
    form.once('finish', resolve);
    failed.signal.addEventListener('abort', () => resolve());
  });
  form.on('error', () => fail(malformed('The body is no whole multipart/form-data.')));
  raw
    .on('data', move)
    .on('pause', () => pace.pause())
    .on('resume', () => pace.resume());
  raw.once('close', close).once('error', breakOff);
  raw.pipe(form);

  await whole;
  pace.stop();
  raw.off('data', move).off('close', close).off('error', breakOff);
  if (failed.signal.aborted) {
    raw.unpipe(form);
    raw.on('error', () => undefined).resume();
    await taken?.catch(() => undefined);
    throw failed.signal.reason;
  }
  return { fields, file: await taken };
}

/** Of an upload that is larger than one may be. */
export function fileTooLarge(maxBytes: number): ShoalError {
  return new ShoalError('file_too_large', `A file may have ${maxBytes} bytes (SHOAL_FILE_MAX_BYTES).`);
}

function openForm({ headers }: IncomingMessage): BusboyInstance {
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = headers;
  if (encoding.trim().toLowerCase() !== 'identity') {
    throw new ShoalError('unsupported_media_type', 'Send the file without a Content-Encoding.');
  }
  if (!/^multipart\/form-data\b/i.test(type)) {
    throw new ShoalError(
      'unsupported_media_type',
      'Send Content-Type: multipart/form-data, with the file and its purpose.',
    );
  }
  try {
    return new Busboy({ headers: headers as BusboyHeaders, limits: LIMITS });
  } catch (cause) {
    throw new ShoalError('malformed_body', 'The Content-Type has no boundary.', { cause });
  }
}

function fault(path: string, message: string): ShoalError {
  return faultsError([{ path, message }]);
}

function malformed(detail: string): ShoalError {
  return new ShoalError('malformed_body', detail);
}
