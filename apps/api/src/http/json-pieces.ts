/** A value as JSON text, piece by piece: a string of the whole would be up to 60 MB, and as long in the making. */

/** Characters of a piece, more or less, and elements that are written at once. */
const PIECE_LENGTH = 32 * 1024;
const RUN = 1024;

/** How the fields of an object are ordered. */
export type Order = (fields: [name: string, value: unknown][]) => [name: string, value: unknown][];

const asTheyAre: Order = (fields) => fields;

/** What JSON.stringify makes of the value, where iterables that are no arrays count as lists. Pieces are never empty. */
export function* jsonPieces(value: unknown, order = asTheyAre): Generator<string, void> {
  let text = '';
  for (const part of parts(value, order)) {
    text += part;
    if (text.length < PIECE_LENGTH) continue;
    yield text;
    text = '';
  }
  if (text !== '') yield text;
}

function* parts(value: unknown, order: Order): Generator<string, void> {
  if (typeof value !== 'object' || value === null) yield textOf(value);
  else if (Symbol.iterator in value) yield* listParts(value as Iterable<unknown>, order);
  else yield* objectParts(value, order);
}

function* listParts(list: Iterable<unknown>, order: Order): Generator<string, void> {
  yield '[';
  let separator = '';
  let run: unknown[] = [];
  const flush = () => {
    const text = run.length === 0 ? '' : separator + JSON.stringify(run).slice(1, -1);
    if (text !== '') separator = ',';
    run = [];
    return text;
  };
  for (const element of list) {
    if (typeof element === 'object' && element !== null) {
      yield flush() + separator;
      separator = ',';
      yield* parts(element, order);
    } else if (run.push(element) === RUN) {
      yield flush();
    }
  }
  yield `${flush()}]`;
}

function* objectParts(object: object, order: Order): Generator<string, void> {
  yield '{';
  let separator = '';
  for (const [key, value] of order(Object.entries(object))) {
    if (value === undefined) continue;
    yield `${separator}${JSON.stringify(key)}:`;
    separator = ',';
    yield* parts(value, order);
  }
  yield '}';
}

function textOf(value: unknown): string {
  return JSON.stringify(value) ?? 'null';
}
