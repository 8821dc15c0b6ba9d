/** What a connection failed of, in words: for whoever can do something about it. */

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  ETIMEDOUT: 'connecting timed out',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  EADDRNOTAVAIL: 'network unreachable',
  EPROTO: 'TLS failed: the handshake was not understood',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'TLS failed: the certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'TLS failed: a certificate of the chain is self-signed',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'TLS failed: the chain of certificates is not complete',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'TLS failed: the chain of certificates is not complete or not trusted',
  CERT_HAS_EXPIRED: 'TLS failed: the certificate has expired',
  CERT_NOT_YET_VALID: 'TLS failed: the certificate is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'TLS failed: the certificate is for another name',
  HPE_HEADER_OVERFLOW: 'the headers of the answer are too large',
};

/** Never holds what an answer, a URL or a secret says: codes only, and messages of Shoal's own. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (code === undefined) return error.message;
  const words = Object.hasOwn(WORDS, code) ? WORDS[code] : undefined;
  if (words !== undefined) return words;
  if (code.startsWith('HPE_')) return `the answer is not HTTP/1.1 (${code})`;
  if (/^(ERR_SSL|ERR_TLS|CERT_|UNABLE_)/.test(code)) return `TLS failed (${code})`;
  return code;
}
