/** One file over HTTP, known by its SHA-256: goes on where it was cut off, and is checked before anybody sees it. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm, stat, truncate } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { UserError } from '@shoal/tools/user-error';

export interface Download {
  readonly url: string;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** What is there already, of an earlier try, is kept and completed. */
  readonly file: string;
  readonly maxBytes: number;
}

export interface System {
  readonly say: (line: string) => void;
  /** Resolves after a pause in ms. */
  readonly sleep: (ms: number) => Promise<unknown>;
}

/** Pauses in ms before each further try. */
const PAUSES = [1000, 2000, 4000, 8000, 16_000];

/** A fault that may pass: the connection, or a server that is not itself just now. */
class PassingFault extends Error {}

/** Resolves to the number of bytes; throws a UserError that says what is wrong and leaves no file, or one to go on with. */
export async function download(request: Download, system: System): Promise<number> {
  const pieced = await fetchAll(request, system);
  if ((await hashOf(request.file)) === request.sha256) return await sizeOf(request.file);
  await rm(request.file);
  // The pieces may have been of different files: once more, from the beginning.
  if (pieced) return await download(request, system);
  throw new UserError(`${shown(request.url)} is not what was asked for: its SHA-256 is not ${request.sha256}.`);
}

/** Resolves to whether the file is made of several pieces. */
async function fetchAll(request: Download, { say, sleep }: System): Promise<boolean> {
  let pieced = false;
  for (const pause of [...PAUSES, undefined]) {
    try {
      pieced ||= (await sizeOf(request.file)) > 0;
      await fetchRest(request);
      return pieced;
    } catch (error) {
      if (!(error instanceof PassingFault)) throw error;
      const what = `${shown(request.url)} ${error.message}`;
      if (pause === undefined) throw new UserError(`${what}; gave up after ${PAUSES.length + 1} tries.`);
      say(`${what}; again in ${pause / 1000} s`);
      await sleep(pause);
    }
  }
  return pieced;
}

/** What is not in the file yet, from its end. */
async function fetchRest({ url, file, maxBytes }: Download): Promise<void> {
  const have = await sizeOf(file);
  const response = await ask(url, have);
  if (response.status === 416 && have > 0) {
    await response.body?.cancel();
    // Either it is whole, which its hash tells, or it is not the beginning of this file.
    if (response.headers.get('content-range') === `bytes */${have}`) return;
    await rm(file);
    throw new PassingFault('does not have the rest of what is here');
  }
  if (!response.ok || response.body === null) throw refusal(url, response.status);
  const start = response.status === 206 ? startOf(response) : 0;
  if (start > have) throw new PassingFault('answers with another part than it was asked for');
  if (have > start) await truncate(file, start);
  const tooLarge = new UserError(`${shown(url)} has more than the ${maxBytes} bytes that --max-size allows.`);
  if (start + Number(response.headers.get('content-length') ?? 0) > maxBytes) {
    await response.body.cancel();
    throw tooLarge;
  }
  await append(response.body, { file, start, maxBytes, tooLarge });
}

async function ask(url: string, have: number): Promise<Response> {
  // A transfer encoding would be undone by fetch, and the hash is that of the file as it is served.
  const headers = { 'accept-encoding': 'identity', ...(have > 0 && { range: `bytes=${have}-` }) };
  try {
    return await fetch(url, { headers });
  } catch (error) {
    const reason = reasonOf(error);
    // A resolver that is away says EAI_AGAIN; this is the answer that there is no such name.
    if (reason === 'ENOTFOUND') throw new UserError(`${shown(url)}: there is no host ${new URL(url).hostname}.`);
    // What fetch refuses by itself, such as a port that browsers keep away from, has no code.
    if (!hasCode(error)) throw new UserError(`${shown(url)} cannot be fetched (${reason}).`);
    throw new PassingFault(`cannot be reached (${reason})`);
  }
}

function refusal(url: string, status: number): Error {
  if (status === 408 || status === 429 || status >= 500) return new PassingFault(`answers ${status}`);
  return new UserError(`${shown(url)} answers ${status}.`);
}

/** Where a part begins; beyond every file where it does not say. */
function startOf(response: Response): number {
  return Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1] ?? Number.POSITIVE_INFINITY);
}

interface Target {
  readonly file: string;
  readonly start: number;
  readonly maxBytes: number;
  readonly tooLarge: Error;
}

/** Every chunk is written before the next is read: what came before the connection broke need not come again. */
async function append(body: ReadableStream<Uint8Array>, { file, start, maxBytes, tooLarge }: Target): Promise<void> {
  let size = start;
  const target = await open(file, 'a');
  const chunks = body.getReader();
  try {
    for (;;) {
      const chunk = await chunks.read().catch((error: unknown) => {
        throw new PassingFault(`broke off after ${size} bytes (${reasonOf(error)})`);
      });
      if (chunk.done) return;
      size += chunk.value.byteLength;
      if (size > maxBytes) throw tooLarge;
      await target.appendFile(chunk.value);
    }
  } catch (error) {
    // Of what is left nobody wants to hear.
    await chunks.cancel().catch(() => undefined);
    if (error === tooLarge) await rm(file);
    throw error;
  } finally {
    await target.close();
  }
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

async function sizeOf(file: string): Promise<number> {
  return await stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

/** Without its query, which may be a signature that opens the file to whoever has it. */
export function shown(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/** fetch hides what happened in the cause of its error. */
function originOf(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof Error ? error.cause : error;
}

function hasCode(error: unknown): boolean {
  const origin = originOf(error);
  return origin instanceof Error && 'code' in origin;
}

function reasonOf(error: unknown): string {
  const origin = originOf(error);
  if (!(origin instanceof Error)) return String(origin);
  return 'code' in origin ? String(origin.code) : origin.message;
}
