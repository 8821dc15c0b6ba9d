/** The body of a webhook: `{type, timestamp, data}`, at most 20,000 bytes. */

/** Standard Webhooks 1.0 asks for less than 20 kB. */
export const MAX_BODY_BYTES = 20_000;

/**
 * The JSON with the first of `candidates` that fits, the fullest first; the last one is taken whatever its size. `at` is
 * when it happened, in Unix ms.
 */
export function bodyOf(type: string, at: number, candidates: readonly [unknown, ...unknown[]]): Buffer {
  const timestamp = new Date(at).toISOString();
  let body = Buffer.alloc(0);
  for (const data of candidates) {
    body = Buffer.from(JSON.stringify({ type, timestamp, data }));
    if (body.length <= MAX_BODY_BYTES) break;
  }
  return body;
}
