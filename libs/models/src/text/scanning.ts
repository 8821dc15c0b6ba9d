/**
 * Which regular expressions look at one stretch of a text again and again, from each of its characters on (`\s+$` of spaces
 * that end in another character): 16,000 characters take 2 s then, and a million two hours. Published tokenizers have some.
 *
 * A branch that reads any number of characters is read once where nothing can fail behind that, or where the next branches read the
 * same and the last of them does not fail: `\s*[\r\n]+|\s+(?!\S)|\s+`. What goes back takes the longest, so all of a stretch is read
 * twice at most.
 */
import { type AlternativeElementNode, type AlternativeNode, parse } from 'oniguruma-parser/parser';

/** Repetitions that are read before a branch fails. */
const MOST_NEEDED = 64;

/** What a branch that is read once begins with: some characters, then any number of one kind. */
interface Reading {
  readonly key: string;
  readonly kind: 'fails' | 'ends';
}

/**
 * Classes of characters, for a JavaScript expression with the flag `u`, whose stretches `pattern` reads again and again; null: of
 * any characters. None where each text is read once. `pattern` can be parsed.
 */
export function rescanned(pattern: string): readonly (string | null)[] {
  const branches = unwrapped(parse(pattern, { skipPropertyNameValidation: true }).body);
  const readings = branches.map(readingOf);
  return branches.flatMap((branch, n) => {
    if (!branch.body.some(isLong)) return [];
    const reading = readings[n];
    const after = readings.slice(n).find((next) => next?.kind !== 'fails' || next.key !== reading?.key);
    if (reading?.kind === 'ends' || (reading !== undefined && after?.kind === 'ends' && after.key === reading.key))
      return [];
    return branch.body.flatMap(loopsIn);
  });
}

/** Without a group around all of it. */
function unwrapped(branches: readonly AlternativeNode[]): readonly AlternativeNode[] {
  const [first, ...more] = branches;
  const [only, ...others] = first?.body ?? [];
  const isGroup = only?.type === 'Group' || only?.type === 'CapturingGroup';
  return isGroup && more.length === 0 && others.length === 0 ? unwrapped(only.body) : branches;
}

/** Undefined: not of the kind that can be read once. */
function readingOf({ body }: AlternativeNode): Reading | undefined {
  const at = body.findIndex(isLong);
  const loop = body[at];
  if (loop?.type !== 'Quantifier' || loop.kind === 'lazy' || loop.min > MOST_NEEDED || !isOne(loop.body))
    return undefined;
  const key = textOf([...body.slice(0, at), loop.body]);
  const rest = body.slice(at + 1);
  if (rest.every(cannotFail)) return { key, kind: 'ends' };
  const [next, ...others] = rest;
  if (loop.kind !== 'greedy' || !isShort(next!) || !others.every(cannotFail)) return undefined;
  return { key, kind: 'fails' };
}

/** Something that may fail, after one character at most. */
function isShort(node: AlternativeElementNode): boolean {
  if (node.type === 'Quantifier') return node.min <= 1 && isOne(node.body);
  if (node.type !== 'LookaroundAssertion') return isOne(node);
  return node.body.every(({ body }) => body.length <= 1 && body.every(isOne));
}

function cannotFail(node: AlternativeElementNode): boolean {
  return node.type === 'Quantifier' && node.min === 0 && (isOne(node.body) || !isLong(node));
}

function isOne({ type }: AlternativeElementNode): boolean {
  return type === 'Character' || type === 'CharacterClass' || type === 'CharacterSet';
}

/** Whether it reads any number of characters. */
function isLong(node: AlternativeElementNode): boolean {
  if (node.type === 'Quantifier') return node.max - node.min >= MOST_NEEDED || isLong(node.body);
  if (node.type === 'CharacterSet') return node.variableLength === true && node.kind !== 'newline';
  return 'body' in node && node.type !== 'CharacterClass' && node.body.some(({ body }) => body.some(isLong));
}

function loopsIn(node: AlternativeElementNode): (string | null)[] {
  if (!isLong(node)) return [];
  if (node.type === 'Quantifier' && node.max - node.min >= MOST_NEEDED) return [classOf(node.body)];
  if (node.type === 'Quantifier') return loopsIn(node.body);
  if (node.type === 'CharacterSet' || !('body' in node) || node.type === 'CharacterClass') return [null];
  return node.body.flatMap(({ body }) => body.flatMap(loopsIn));
}

/** Where all of it is of one class that JavaScript has as well. */
function classOf(node: AlternativeElementNode): string | null {
  if (node.type === 'Quantifier') return classOf(node.body);
  if (node.type === 'Group' || node.type === 'CapturingGroup') {
    const [only, ...more] = new Set(node.body.flatMap(({ body }) => body.map(classOf)));
    return more.length === 0 ? (only ?? null) : null;
  }
  if (node.type !== 'CharacterSet' || node.negate === true) return null;
  if (node.kind === 'space') return String.raw`\p{White_Space}`;
  if (node.kind === 'digit') return String.raw`\p{Nd}`;
  return node.kind === 'property' && /^(L|M|N|P|S|Z)[a-z]?$/.test(node.value) ? String.raw`\p{${node.value}}` : null;
}

function textOf(nodes: readonly AlternativeElementNode[]): string {
  return JSON.stringify(nodes, (key, value: unknown) => (key === 'parent' ? undefined : value));
}
