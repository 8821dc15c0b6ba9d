/** What tells one version of a file from every other one, as a server has it (RFC 9110, sections 8.8 and 13.1.5). */
import type { IncomingHttpHeaders } from 'node:http';

/**
 * A strong ETag; where there is no ETag at all, the date of the latest change, if a second or more lies between it and the
 * answer: within that second the file may have changed twice. Undefined where nothing tells.
 */
export function validatorOf({ etag, date, 'last-modified': changed }: IncomingHttpHeaders): string | undefined {
  if (etag !== undefined) return isTag(etag) ? etag : undefined;
  if (changed === undefined || date === undefined) return undefined;
  const at = Date.parse(changed);
  const isExact = Date.parse(date) - at >= 1000 && new Date(at).toUTCString() === changed;
  return isExact ? changed : undefined;
}

/** Whether a part whose answer says `told` is of the version that `wanted` names. What answers If-Range need not repeat a date. */
export function isPartOf(wanted: string, told: string | undefined): boolean {
  return told === wanted || (told === undefined && !isTag(wanted));
}

/** Strong ones only: weak ones say nothing of single bytes. */
function isTag(validator: string): boolean {
  return /^"[\x21\x23-\x7e]*"$/.test(validator);
}
