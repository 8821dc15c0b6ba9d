/**
 * A model in a bucket of S3, or of what speaks its protocol. Credentials are found as AWS's own tools find them: in the
 * environment, in profiles, from the machine. Files are listed by the SDK, and their bytes come from URLs that it signs.
 */
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import {
  type _Object,
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { ShoalError } from '@shoal/contracts';
import { type Choice, chooseFiles } from './choose.js';
import type { PullContext } from './context.js';
import { unavailable } from './faults.js';
import { bytesOf } from './http/body.js';
import { openUrl } from './http/open-url.js';
import { validatorOf } from './http/validator.js';
import type { S3Source } from './parse-source.js';
import { isSafePath } from './safe-path.js';
import type { Digest, Located, SourceFile } from './source-file.js';

/** Keys of a list, those that are passed over among them. */
const MAX_KEYS = 50_000;
/** A page has 1,000 keys; some servers make smaller ones. */
const MAX_PAGES = 1000;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** How often longer than the head of one answer all that is asked before the first file may take. */
const LIST_PATIENCE = 20;
const TRIES = 6;
/** For how long a URL is signed, in seconds; each try gets one of its own. */
const SIGNED_SECONDS = 3600;

interface Listed {
  /** Relative to the prefix. */
  readonly path: string;
  readonly key: string;
  readonly size: number;
  readonly etag: string;
}

/** @throws ShoalError `source_unavailable` saying why it cannot be had; the signal's reason */
export async function locateS3(source: S3Source, pickOnnx: Choice['pickOnnx'], context: PullContext): Promise<Located> {
  const { endpoint, region } = context.s3;
  // Which version of Node later versions of the SDK will need is no news for who pulls a model.
  // biome-ignore lint/style/noProcessEnv: written, not read; the library takes this choice from nowhere else.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  const client = new S3Client({
    ...(region !== undefined && { region }),
    // Elsewhere a bucket seldom has a host name of its own, and the region is a word without meaning.
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true, region: region ?? 'us-east-1' }),
    maxAttempts: TRIES,
    requestHandler: {
      connectionTimeout: context.patience.headMs,
      requestTimeout: context.patience.headMs,
      throwOnRequestTimeout: true,
    },
  });
  const deadlineMs = LIST_PATIENCE * context.patience.headMs;
  const deadline = AbortSignal.timeout(deadlineMs);
  const bounds = { patience: context.patience, signal: AbortSignal.any([context.signal, deadline]) };
  boundAnswers(client, bounds);
  const title = `s3://${source.bucket}${source.prefix === '' ? '' : `/${source.prefix}`}`;
  try {
    const { listed, wanted } = await list(client, source, title, bounds.signal);
    const chosen = chooseFiles(listed, { source: title, wanted, pickOnnx });
    const known = new Map(listed.map((file) => [file.path, file]));
    const files = await Promise.all(
      chosen.paths.map(async (path) => sourceFile(client, source.bucket, known.get(path)!, context, bounds.signal)),
    );
    const name = posix.basename(source.prefix).replace(/\.(gguf|onnx)$/i, '') || source.bucket;
    return { origin: title, name, place: ['s3', source.bucket], files, entry: chosen.entry, notes: chosen.notes };
  } catch (error) {
    context.signal.throwIfAborted();
    if (deadline.aborted) {
      throw unavailable(
        `${title}: the server does not list it within ${deadlineMs / 1000} s: name the model's folder.`,
      );
    }
    throw error instanceof ShoalError ? error : explain(error, title, source);
  }
}

/** The client reads whole answers into memory, however long they are and however slowly they come. */
function boundAnswers(client: S3Client, bounds: Pick<PullContext, 'patience' | 'signal'>): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { response } = result as { response: { body?: unknown } };
      const { body } = response;
      if (body instanceof Readable) response.body = await bytesOf(body, MAX_ANSWER_BYTES, 'the server', bounds);
      return result;
    },
    { name: 'boundAnswers', step: 'deserialize', priority: 'low' },
  );
}

async function list(client: S3Client, { bucket, prefix }: S3Source, title: string, signal: AbortSignal) {
  const listed: Listed[] = [];
  const root = prefix === '' ? '' : `${prefix}/`;
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  let file: Listed | undefined;
  // What an ONNX file keeps its weights in is called after it.
  const isGraph = /\.onnx$/i.test(prefix);
  const data: Listed[] = [];
  let keys = 0;
  for await (const contents of pagesOf(client, { Bucket: bucket, Prefix: prefix }, title, signal)) {
    keys += contents.length;
    if (keys > MAX_KEYS) throw unavailable(`${title} has more than ${MAX_KEYS} files: name the model's folder.`);
    for (const { Key: key = '', Size: size = -1, ETag: etag = '' } of contents) {
      if (!Number.isSafeInteger(size) || size < 0) throw unavailable(`${title}: ${JSON.stringify(key)} has no size.`);
      const beside = { path: key.slice(folder.length), key, size, etag };
      if (key === prefix) file = beside;
      else if (isGraph && /^[._]data/.test(key.slice(prefix.length))) data.push(beside);
      // Consoles mark folders by an empty object with their name.
      else if (key.startsWith(root) && !key.endsWith('/'))
        listed.push({ path: key.slice(root.length), key, size, etag });
    }
  }
  if (file !== undefined && /\.(gguf|onnx)$/i.test(prefix))
    return { listed: [file, ...data].map((entry) => checked(entry, title)), wanted: file.path };
  if (listed.length === 0) throw unavailable(`${title} has no files: look at the name (aws s3 ls ${title}/).`);
  // Names with a dot at their beginning are nobody's model.
  const visible = listed.filter(
    ({ path }) => path.includes('..') || !path.split('/').some((name) => name.startsWith('.')),
  );
  return { listed: visible.map((entry) => checked(entry, title)), wanted: undefined };
}

function checked(file: Listed, title: string): Listed {
  if (isSafePath(file.path)) return file;
  throw unavailable(
    `${title} has a file by a name that leads elsewhere (${JSON.stringify(file.path.slice(0, 200))}): nothing of it is taken.`,
  );
}

/** The pages of a list, of which a server can make as many as it likes. */
async function* pagesOf(
  client: S3Client,
  query: ListObjectsV2CommandInput,
  title: string,
  signal: AbortSignal,
): AsyncGenerator<readonly _Object[]> {
  let token: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const asked = { ...query, ...(token !== undefined && { ContinuationToken: token }) };
    const answer = await client.send(new ListObjectsV2Command(asked), { abortSignal: signal });
    yield answer.Contents ?? [];
    if (answer.IsTruncated !== true) return;
    const next = answer.NextContinuationToken;
    if (next === undefined || next === token) throw unavailable(`${title}: the server lists it without an end.`);
    token = next;
  }
  throw unavailable(`${title} is listed on more than ${MAX_PAGES} pages: name the model's folder.`);
}

/** `signal` ends the asking for it, and not its download. */
async function sourceFile(
  client: S3Client,
  bucket: string,
  file: Listed,
  context: PullContext,
  signal: AbortSignal,
): Promise<SourceFile> {
  const { path, key, size, etag } = file;
  const object = { Bucket: bucket, Key: key };
  const head = await client.send(new HeadObjectCommand({ ...object, ChecksumMode: 'ENABLED' }), {
    abortSignal: signal,
  });
  return {
    path,
    size,
    digest: digestOf(head, etag),
    validator: validatorOf({ etag }),
    version: etag,
    title: `s3://${bucket}/${key}`,
    open: async (request) => {
      const url = new URL(await getSignedUrl(client, new GetObjectCommand(object), { expiresIn: SIGNED_SECONDS }));
      return await openUrl({ url, home: url.origin, headers: { 'if-match': etag } }, request, context, ({ status }) =>
        status === 412
          ? unavailable(`s3://${bucket}/${key} was changed while it was fetched: pull it again.`)
          : undefined,
      );
    },
  };
}

/**
 * What S3 knows of the whole object. Sums of its parts (`COMPOSITE`, `<sum>-<parts>`) need to know where those begin, and the
 * ETag is an MD5 only of what was put in one piece and not encrypted with a key of the customer's.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
 */
function digestOf(head: HeadObjectCommandOutput, etag: string): Digest | undefined {
  const whole = head.ChecksumType !== 'COMPOSITE';
  if (whole && isSum(head.ChecksumSHA256)) return { algorithm: 'sha256', value: hex(head.ChecksumSHA256) };
  if (whole && isSum(head.ChecksumCRC32)) return { algorithm: 'crc32', value: hex(head.ChecksumCRC32) };
  const [, md5] = /^"([0-9a-f]{32})"$/.exec(etag) ?? [];
  const encrypted = head.ServerSideEncryption?.startsWith('aws:') || head.SSECustomerAlgorithm !== undefined;
  return md5 === undefined || encrypted ? undefined : { algorithm: 'md5', value: md5 };
}

function isSum(sum: string | undefined): sum is string {
  return sum !== undefined && /^[A-Za-z0-9+/]+=*$/.test(sum);
}

function hex(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex');
}

const CREDENTIALS = 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE';

function explain(error: unknown, title: string, { bucket }: S3Source): Error {
  const { name = '', message = String(error) } = error instanceof Error ? error : {};
  const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
  const because = (words: string) => unavailable(`${title}: ${words}.`, error);
  if (name === 'CredentialsProviderError') return because(`no credentials were found: set ${CREDENTIALS}`);
  if (/^Region is missing/.test(message)) return because('the region of the bucket is not known: set AWS_REGION');
  if (name === 'NoSuchBucket') return because(`there is no bucket ${bucket}`);
  if (name === 'InvalidAccessKeyId' || name === 'SignatureDoesNotMatch' || name === 'ExpiredToken') {
    return because(`the credentials are not taken (${name}): set ${CREDENTIALS}`);
  }
  if (status === 403) return because('these credentials may not read it (s3:ListBucket and s3:GetObject are needed)');
  if (name === 'PermanentRedirect' || status === 301) return because('the bucket is in another region: set AWS_REGION');
  if (status !== undefined)
    return because(`the server answers ${status} (${/^[\w.]{1,60}$/.test(name) ? name : 'an error'})`);
  const { code } = error as { readonly code?: unknown };
  if (typeof code === 'string') return because(`the server cannot be reached (${code})`);
  return because('the server does not answer as S3 does');
}
