/** Names of files as a source gives them, before anything is made of them: anyone may have written them. */

const MAX_DEPTH = 8;
/** How the name of what lies beside a file ends until the file is whole; a dot is before it. */
export const PART = '.part';
/** What file systems take, with that. */
const MAX_SEGMENT = 255 - PART.length - 1;
const MAX_PATH = 1024;

/**
 * True for a path that stays where it is put, on any file system, and that can be shown: relative, with `/`, no `.` or `..`,
 * nothing empty, no backslash, colon or control character, no name that begins with a dot (Shoal's own files do).
 */
export function isSafePath(path: string): boolean {
  const segments = path.split('/');
  return path.length <= MAX_PATH && segments.length <= MAX_DEPTH && segments.every(isSafeSegment);
}

/** Of no category C: control and formatting characters can make a name look like another one. */
function isSafeSegment(name: string): boolean {
  return Buffer.byteLength(name) <= MAX_SEGMENT && /^[^.\\:/\p{C}\p{Zl}\p{Zp}][^\\:/\p{C}\p{Zl}\p{Zp}]*$/u.test(name);
}
