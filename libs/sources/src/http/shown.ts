/** URLs for people. */

/** Without its query, which may be a signature that opens the file to whoever has it, and without a password. */
export function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}
