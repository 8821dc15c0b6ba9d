/** The client of a bucket of S3, or of what speaks its protocol; whatever it is answered is bounded in time and in size. */
import { Readable } from 'node:stream';
import { S3Client } from '@aws-sdk/client-s3';
import { unavailable } from '../failures.js';

export interface S3Settings {
  /** URL of what is no Amazon: MinIO, Ceph, R2. */
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
}

/** A folder of a bucket. */
export interface Place {
  readonly client: S3Client;
  readonly bucket: string;
  /** Before every key: empty, or with a slash at its end. */
  readonly root: string;
  readonly patience: Patience;
}

export interface Patience {
  /** Ms until the head of an answer must be there, connecting and sending a part included. */
  readonly headMs: number;
  /** Ms in which some of a blob must come. */
  readonly stallMs: number;
  /** How often something is asked for that fails of what may pass. */
  readonly tries: number;
}

/** A part of 5 MiB has that long at 175 kB/s. */
export const PATIENCE: Patience = { headMs: 30_000, stallMs: 30_000, tries: 4 };

const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** How often longer than its head the rest of an answer that is no blob may take. S3 tells so that it is still joining parts. */
export const ANSWER_PATIENCE = 10;

/** Credentials are found as AWS's own tools find them: in the environment, in profiles, from the machine. */
export function openClient({ endpoint, region }: S3Settings, { headMs, tries }: Patience): S3Client {
  // Which version of Node later versions of the SDK will need is no news for who keeps files.
  // biome-ignore lint/style/noProcessEnv: written, not read; the library takes this choice from nowhere else.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  const client = new S3Client({
    ...(region !== undefined && { region }),
    // Elsewhere a bucket seldom has a host name of its own, and the region is a word without meaning.
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true, region: region ?? 'us-east-1' }),
    maxAttempts: tries,
    // What is sent is signed with its SHA-256; checksums beside it are unknown to some stores.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // It would take a connection of its own for each part, and a pause where a store does not know it.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: headMs,
      requestTimeout: headMs,
      throwOnRequestTimeout: true,
      // Blobs that are read slowly must not keep others waiting; how many are read is the caller's to bound.
      httpAgent: { maxSockets: Number.POSITIVE_INFINITY },
      httpsAgent: { maxSockets: Number.POSITIVE_INFINITY },
    },
  });
  boundAnswers(client, ANSWER_PATIENCE * headMs);
  return client;
}

/** The client reads whole answers into memory, however long they are and however slowly they come; but for those with a blob. */
function boundAnswers(client: S3Client, ms: number): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const result = await next(args);
        const { response } = result as { response: { statusCode: number; body?: unknown } };
        const isBlob = commandName === 'GetObjectCommand' && response.statusCode < 300;
        if (!isBlob && response.body instanceof Readable) response.body = await bytesOf(response.body, ms);
        return result;
      },
    { name: 'boundAnswers', step: 'deserialize', priority: 'low' },
  );
}

async function bytesOf(body: Readable, ms: number): Promise<Buffer> {
  const silent = Object.assign(new Error('the answer did not end in time'), { name: 'TimeoutError' });
  const timer = setTimeout(() => body.destroy(silent), ms);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      size += (chunk as Buffer).length;
      if (size > MAX_ANSWER_BYTES) throw unavailable('answers with more than it can have to say');
      chunks.push(chunk as Buffer);
    }
    return Buffer.concat(chunks);
  } finally {
    clearTimeout(timer);
  }
}
