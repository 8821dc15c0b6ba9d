/** The names that somebody may have meant by one that is not there, for messages that mend. */

const MAX_NAMES = 3;
/** Longer names are nobody's slip, and comparing costs length × length. */
const MAX_LENGTH = 200;

/**
 * Up to three of `names`, the likeliest first: those that hold the given name or are held by it, and those that differ from it
 * in at most a third of its characters. Case does not count, nor what is before the last `/`.
 */
export function nearestNames(given: string, names: readonly string[]): string[] {
  if (given.length > MAX_LENGTH) return [];
  const wanted = simplified(given);
  return names
    .map((name) => ({ name, far: distance(wanted, simplified(name)) }))
    .filter(({ far }) => far <= Math.max(1, wanted.length / 3))
    .sort((a, b) => a.far - b.far)
    .slice(0, MAX_NAMES)
    .map(({ name }) => name);
}

function simplified(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1).toLowerCase();
}

/** Levenshtein's; of a name that holds the other, 1. */
function distance(a: string, b: string): number {
  if (a === b) return 0;
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  if (short.length > 2 && long.includes(short)) return 1;
  let row = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
