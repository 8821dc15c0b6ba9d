/**
 * What a URL of Redis may look like. Refused is all that would be ignored, or that shows that a password was not
 * percent-encoded: a piece of it would then pass for a host, a port or a database, and go to the log and to DNS. Messages
 * show nothing of the value.
 */
import { z } from 'zod';

const FORM = 'redis://user:password@host:6379/0 (rediss:// for TLS)';
const ENCODE = 'characters of a password such as @ : / ? # % must be percent-encoded (%40 for @)';

const PROTOCOLS = ['redis:', 'rediss:'];
/** Names, IPv4 addresses, IPv6 addresses in brackets. */
const HOST = /^([\w.-]+|\[[\da-f:.]+\])$/i;

/** A URL as it was written; of one server. */
export function redisUrl() {
  return z.string().superRefine((value, context) => {
    const fault = findFault(value);
    if (fault !== null) context.addIssue({ code: 'custom', message: fault });
  });
}

/** What is wrong with it; null where nothing is. */
function findFault(value: string): string | null {
  if (/[\s\p{Cc}]/u.test(value)) return 'must not contain spaces or line breaks';
  if (!/^rediss?:\/\//i.test(value)) return `must be a URL that starts with redis:// or rediss://: ${FORM}`;
  if (!URL.canParse(value)) return `must be a URL such as ${FORM}; ${ENCODE}`;
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(value);
  if (!PROTOCOLS.includes(protocol)) return `must be a URL such as ${FORM}`;
  if (hostname === '') return `names no host: ${FORM}; ${ENCODE}`;
  if (!HOST.test(hostname)) return `names a host that cannot be one: ${FORM}; ${ENCODE}`;
  if (port === '0') return 'must have a port from 1 to 65535';
  if (hash !== '') return `must not have a #; ${ENCODE}`;
  if (search !== '') return `must not have a ?: a database is written /1; ${ENCODE}`;
  if (!/^(\/\d*)?$/.test(pathname)) {
    return `must have nothing behind the host but the number of a database; ${ENCODE}`;
  }
  return [username, password].every(isEncoded) ? null : `has a % that is no percent-encoding; ${ENCODE}`;
}

function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
