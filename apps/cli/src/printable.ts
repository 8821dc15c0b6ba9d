/** What a server or a file says, as a terminal may have it: nothing that moves the cursor, or turns the direction of a line. */

/** Lines and tabs stay. Bidi controls by name: other invisible characters join emoji and letters. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]|\p{Bidi_Control}/gu, '');
}

/** JSON on one line. JSON itself escapes fewer control characters than terminals obey. */
export function jsonOf(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\u009f]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
