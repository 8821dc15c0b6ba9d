/**
 * A model in a bucket of S3, or of what speaks its protocol. Credentials are found as AWS's own tools find them: in the
 * environment, in profiles, from the machine. Files are listed by the SDK, and their bytes come from URLs that it signs.
 */
import { posix } from 'node:path';
import {
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  paginateListObjectsV2,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { ShoalError } from '@shoal/contracts';
import { type Choice, chooseFiles } from './choose.js';
import type { PullContext } from './context.js';
import { unavailable } from './faults.js';
import { openUrl } from './http/open-url.js';
import { validatorOf } from './http/validator.js';
import type { S3Source } from './parse-source.js';
import { isSafePath } from './safe-path.js';
import type { Digest, Located, SourceFile } from './source-file.js';

const MAX_FILES = 50_000;
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
  const title = `s3://${source.bucket}${source.prefix === '' ? '' : `/${source.prefix}`}`;
  try {
    const { listed, wanted } = await list(client, source, title, context);
    const chosen = chooseFiles(listed, { source: title, wanted, pickOnnx });
    const known = new Map(listed.map((file) => [file.path, file]));
    const files = await Promise.all(
      chosen.paths.map(async (path) => sourceFile(client, source.bucket, known.get(path)!, context)),
    );
    const name = posix.basename(source.prefix).replace(/\.(gguf|onnx)$/i, '') || source.bucket;
    return { origin: title, name, place: ['s3', source.bucket], files, entry: chosen.entry, notes: chosen.notes };
  } catch (error) {
    context.signal.throwIfAborted();
    throw error instanceof ShoalError ? error : explain(error, title, source);
  }
}

async function list(client: S3Client, { bucket, prefix }: S3Source, title: string, { signal }: PullContext) {
  const listed: Listed[] = [];
  const root = prefix === '' ? '' : `${prefix}/`;
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  let file: Listed | undefined;
  // What an ONNX file keeps its weights in is called after it.
  const isGraph = /\.onnx$/i.test(prefix);
  const data: Listed[] = [];
  const pages = paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: prefix });
  for await (const { Contents = [] } of takeSignal(pages, signal)) {
    for (const { Key: key = '', Size: size = -1, ETag: etag = '' } of Contents) {
      if (!Number.isSafeInteger(size) || size < 0) throw unavailable(`${title}: ${JSON.stringify(key)} has no size.`);
      const beside = { path: key.slice(folder.length), key, size, etag };
      if (key === prefix) file = beside;
      else if (isGraph && /^[._]data/.test(key.slice(prefix.length))) data.push(beside);
      // Consoles mark folders by an empty object with their name.
      else if (key.startsWith(root) && !key.endsWith('/'))
        listed.push({ path: key.slice(root.length), key, size, etag });
    }
    if (listed.length + data.length > MAX_FILES)
      throw unavailable(`${title} has more than ${MAX_FILES} files: name the model's folder.`);
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

async function* takeSignal<T>(pages: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  for await (const page of pages) {
    signal.throwIfAborted();
    yield page;
  }
}

async function sourceFile(client: S3Client, bucket: string, file: Listed, context: PullContext): Promise<SourceFile> {
  const { path, key, size, etag } = file;
  const object = { Bucket: bucket, Key: key };
  const head = await client.send(new HeadObjectCommand({ ...object, ChecksumMode: 'ENABLED' }), {
    abortSignal: context.signal,
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
