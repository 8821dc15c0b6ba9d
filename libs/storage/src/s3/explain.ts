/** What S3 says, and what its client does, in words for who runs it. */
import { ShoalError } from '@shoal/contracts';
import { full, unavailable } from '../failures.js';

const CREDENTIALS = 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE';
const RIGHTS = 's3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListBucket are needed';
/** Of S3 itself there are none: of those that keep to its protocol. */
const FULL = ['XMinioStorageFull', 'QuotaExceeded', 'XMinioAdminBucketQuotaExceeded', 'InsufficientStorage'];
const REFUSED = ['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken', 'RequestTimeTooSkewed'];

/** Whatever the client throws. ShoalErrors pass. */
export function explainS3(error: unknown): ShoalError {
  if (error instanceof ShoalError) return error;
  const { name = '', message = '' } = error instanceof Error ? error : {};
  const status = statusOf(error);
  const because = (words: string) => unavailable(words, error);
  if (FULL.includes(name) || status === 507) return full('has no more room', error);
  if (name === 'CredentialsProviderError') return because(`has no credentials: set ${CREDENTIALS}`);
  if (/^Region is missing/.test(message)) return because('does not know the region of its bucket: set AWS_REGION');
  if (name === 'NoSuchBucket') return because('has a bucket that is not there');
  if (REFUSED.includes(name)) return because(`does not take the credentials (${name}): set ${CREDENTIALS}`);
  if (status === 403) return because(`does not let these credentials do that (${RIGHTS})`);
  if (name === 'PermanentRedirect' || status === 301)
    return because('has its bucket in another region: set AWS_REGION');
  if (status !== undefined && status >= 300) return because(`answers ${status} (${wordOf(name)})`);
  const { code } = error as { readonly code?: unknown };
  // The client calls broken connections TimeoutErrors, too.
  if (typeof code === 'string' && code !== 'ETIMEDOUT') return because(`cannot be reached (${wordOf(code)})`);
  if (name === 'TimeoutError') return because('does not answer in time');
  return because('does not answer as S3 does');
}

export function isStatus(error: unknown, ...statuses: readonly number[]): boolean {
  return statuses.includes(statusOf(error) ?? 0);
}

/** The client notes it on whatever it makes of an answer. */
function statusOf(error: unknown): number | undefined {
  const { $metadata } = error as { readonly $metadata?: { readonly httpStatusCode?: number } };
  return $metadata?.httpStatusCode;
}

/** A server chooses it. */
function wordOf(name: string): string {
  return /^[\w.]{1,60}$/.test(name) ? name : 'an error';
}
