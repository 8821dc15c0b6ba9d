/** From the logger's JSON line to a short one for a person: `info model.loaded model=wordnet-topic ms=120`. */

/** Fields that every line has or that stand at its front. */
const FRONT = new Set(['level', 'time', 'service', 'event', 'msg', 'error']);

/** The line as a person reads it; a line that is not the logger's comes back as it is. */
export function formatLine(line: string): string {
  const entry = parseLine(line);
  if (entry === undefined) return line.trimEnd();
  const subject = [entry.event, entry.msg].filter((part) => part !== undefined).join(' ');
  const fields = Object.entries(entry)
    .filter(([field]) => !FRONT.has(field))
    .map(([field, value]) => `${field}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return [String(entry.level).padEnd(5), subject, ...fields, messageOf(entry)].filter((part) => part !== '').join(' ');
}

/** The logger's line as an object; undefined where it is not one. */
export function parseLine(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function messageOf(entry: Record<string, unknown>): string {
  const { error } = entry;
  return typeof error === 'object' && error !== null && 'message' in error ? `(${String(error.message)})` : '';
}
