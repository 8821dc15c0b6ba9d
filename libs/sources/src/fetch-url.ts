/** One file by its URL, known by its hash, to a path of the caller's: with all the care that a pull takes. */
import type { PullContext } from './context.js';
import { fetchFile } from './download/fetch-file.js';
import { checkUrl } from './http/destination.js';
import { shown } from './http/shown.js';
import { withRetries } from './retries.js';
import { refuseLarger } from './sizes.js';
import { headOf } from './web.js';

export interface FetchUrlRequest {
  readonly url: URL;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** Of the file to make; what has come lies beside it until it is whole, and a further call goes on with it. */
  readonly path: string;
  readonly maxBytes: number;
}

/**
 * Resolves to the number of bytes once the file is there.
 *
 * @throws ShoalError `source_unavailable` saying what is wrong and what to do; the signal's reason
 */
export async function fetchUrl(
  { url, sha256, path, maxBytes }: FetchUrlRequest,
  context: Pick<PullContext, 'say' | 'onProgress' | 'signal' | 'allow' | 'patience'>,
): Promise<number> {
  checkUrl(url);
  const title = shown(url);
  const { size, open } = await withRetries(title, context, () => headOf(url, title, context));
  refuseLarger(title, size, maxBytes);
  const digest = { algorithm: 'sha256', value: sha256 } as const;
  const onSize = (done: number) => context.onProgress?.({ file: title, done, total: size });
  const file = { path: title, title, size, digest, validator: undefined, version: sha256, open };
  await fetchFile(file, path, { ...context, onSize });
  return size;
}
