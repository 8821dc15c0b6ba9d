/** A value as JSON text, piece by piece: a string of the whole would be up to 60 MB, and as long in the making. */

/** Characters of a piece, more or less; what is shorter is written at once, for a generator's step costs more than a value. */
const PIECE_LENGTH = 32 * 1024;

/** How the fields of an object are ordered. */
export type Order = (fields: [name: string, value: unknown][]) => [name: string, value: unknown][];

/** What JSON.stringify makes of the value, where iterables that are no arrays count as lists. Pieces are never empty. */
export function* jsonPieces(value: unknown, order?: Order): Generator<string, void> {
  let text = '';
  for (const part of parts(value, order)) {
    text += part;
    if (text.length < PIECE_LENGTH) continue;
    yield text;
    text = '';
  }
  if (text !== '') yield text;
}

function* parts(value: unknown, order?: Order): Generator<string, void> {
  if (typeof value !== 'object' || value === null || isShort(value, order)) yield textOf(value);
  else if (Symbol.iterator in value) yield* listParts(value as Iterable<unknown>, order);
  else yield* objectParts(value, order);
}

function* listParts(list: Iterable<unknown>, order?: Order): Generator<string, void> {
  yield '[';
  let separator = '';
  let run: unknown[] = [];
  let length = 0;
  const flush = () => {
    const text = run.length === 0 ? '' : separator + JSON.stringify(run).slice(1, -1);
    if (text !== '') separator = ',';
    run = [];
    length = 0;
    return text;
  };
  for (const element of list) {
    const more = lengthOf(element, order);
    if (more > PIECE_LENGTH) {
      yield flush() + separator;
      separator = ',';
      yield* parts(element, order);
      continue;
    }
    run.push(element);
    length += more;
    if (length > PIECE_LENGTH) yield flush();
  }
  yield `${flush()}]`;
}

function* objectParts(object: object, order?: Order): Generator<string, void> {
  yield '{';
  let separator = '';
  const fields = Object.entries(object);
  for (const [key, value] of order?.(fields) ?? fields) {
    if (value === undefined) continue;
    yield `${separator}${JSON.stringify(key)}:`;
    separator = ',';
    yield* parts(value, order);
  }
  yield '}';
}

function isShort(value: object, order?: Order): boolean {
  return lengthOf(value, order) <= PIECE_LENGTH;
}

/** About how long the value is as JSON; infinite as soon as it is long, is made as it is read, or has fields to order. */
function lengthOf(value: unknown, order?: Order): number {
  if (typeof value === 'string') return value.length + 3;
  if (typeof value !== 'object' || value === null) return 8;
  let length = 2;
  if (Array.isArray(value)) {
    for (const element of value) {
      length += lengthOf(element, order);
      if (length > PIECE_LENGTH) return Number.POSITIVE_INFINITY;
    }
    return length;
  }
  if (order || Symbol.iterator in value) return Number.POSITIVE_INFINITY;
  for (const key of Object.keys(value)) {
    length += key.length + 4 + lengthOf((value as Record<string, unknown>)[key]);
    if (length > PIECE_LENGTH) return Number.POSITIVE_INFINITY;
  }
  return length;
}

function textOf(value: unknown): string {
  return JSON.stringify(value) ?? 'null';
}
