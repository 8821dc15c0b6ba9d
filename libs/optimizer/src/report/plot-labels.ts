/** Where the words of a picture stand: beside what they name, clear of all that is drawn and of each other. */

export interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Words about the mark at `x`, `y`; about a level line where it begins at `from`. */
export interface Label {
  readonly x: number;
  readonly y: number;
  readonly from?: number;
  readonly words: string;
}

export interface Placed {
  readonly label: Label;
  readonly words: string;
  readonly box: Box;
  /** It stands so far off, or so near to another mark, that only a line tells what it names. */
  readonly led: boolean;
}

/** Of 13 pixels: no usual font is wider on the average. */
const CHARACTER = 7.8;
const HEIGHT = 15;
/** Of a name, and of the frame's width: what is cut ends in dots. */
const [MOST_CHARACTERS, MOST_SHARE] = [36, 0.8];
/** Between the middle of a mark and its words. */
const GAP = 10;
/** Between the places that are tried. */
const STEP = { x: 8, y: 4 };
const FAR = 20;
/** At the sides of a line. */
const AIR = 3;
/** Of places as far from the mark, the one after it and at its height comes first. */
const ASIDE = 0.1;
/** What a line costs for each other mark or name that it would cross, in pixels of distance. */
const CROSSING = 40;

/** Around a mark, with some air. */
export function boxAround(x: number, y: number): Box {
  return { left: x - 8, right: x + 8, top: y - 8, bottom: y + 8 };
}

/** A line in small pieces, so that a slanting one does not keep its whole corner free. */
export function boxesAlong(x1: number, y1: number, x2: number, y2: number): readonly Box[] {
  const pieces = Math.max(1, Math.ceil(Math.hypot(x2 - x1, y2 - y1) / STEP.x));
  return Array.from({ length: pieces }, (_, n) => {
    const at = (share: number) => [x1 + share * (x2 - x1), y1 + share * (y2 - y1)] as const;
    const [[ax, ay], [bx, by]] = [at(n / pieces), at((n + 1) / pieces)];
    return {
      ...{ left: Math.min(ax, bx) - AIR, right: Math.max(ax, bx) + AIR },
      ...{ top: Math.min(ay, by) - 1, bottom: Math.max(ay, by) + 1 },
    };
  });
}

/** One after the other, each at the nearest free place; what finds none within the frame is left to the description. */
export function placed(labels: readonly Label[], frame: Box, drawn: readonly Box[]): readonly Placed[] {
  const taken = [...drawn];
  const names: Box[] = [];
  return labels.flatMap((label) => {
    const others = labels.flatMap((other) =>
      other === label || other.from !== undefined ? [] : [boxAround(other.x, other.y)],
    );
    const found = nearest(label, frame, taken, [...others, ...names]);
    if (found === undefined) return [];
    const [box, words] = found;
    const away = distance(label, box);
    const isNearOther = labels.some((other) => other !== label && distance(other, box) < away);
    const led = label.from === undefined && (away > FAR || isNearOther);
    names.push(box);
    taken.push(box, ...(led ? boxesAlong(...leader({ label, box })) : []));
    return [{ label, words, box, led }];
  });
}

/** From the mark to the nearest edge of its words: `[x1, y1, x2, y2]`. */
export function leader({ label, box }: Pick<Placed, 'label' | 'box'>): [number, number, number, number] {
  const [x, y] = [within(label.x, box.left, box.right), within(label.y, box.top, box.bottom)];
  return [label.x, label.y, x, y];
}

function nearest(
  label: Label,
  frame: Box,
  taken: readonly Box[],
  others: readonly Box[],
): readonly [Box, string] | undefined {
  const all = [...label.words];
  const most = Math.min(MOST_CHARACTERS, Math.floor((MOST_SHARE * (frame.right - frame.left)) / CHARACTER));
  const words = all.length > most ? `${all.slice(0, most - 1).join('')}…` : label.words;
  const width = CHARACTER * Math.min(all.length, most);
  const [after, level] = [label.x + GAP, label.y - HEIGHT / 2];
  let least = Number.POSITIVE_INFINITY;
  let best: Box | undefined;
  for (const left of stepsOf(after, STEP.x, frame.left, frame.right - width)) {
    for (const top of stepsOf(level, STEP.y, frame.top, frame.bottom - HEIGHT)) {
      const box = { left, right: left + width, top, bottom: top + HEIGHT };
      const cost = distance(label, box) + ASIDE * (Math.abs(left - after) + Math.abs(top - level));
      if (cost >= least || taken.some((other) => overlap(box, other))) continue;
      const full = cost + CROSSING * crossings(label, box, others);
      if (full < least) [least, best] = [full, box];
    }
  }
  return best && [best, words];
}

/** How many of the others lie on the line from the mark to its words. */
function crossings(label: Label, box: Box, others: readonly Box[]): number {
  if (label.from !== undefined) return 0;
  const pieces = boxesAlong(...leader({ label, box }));
  return others.filter((other) => pieces.some((piece) => overlap(piece, other))).length;
}

/** All of `at` and whole steps from it that lie between. */
function stepsOf(at: number, step: number, least: number, most: number): readonly number[] {
  const first = Math.ceil((least - at) / step);
  return Array.from(
    { length: Math.max(0, Math.floor((most - at) / step) - first + 1) },
    (_, n) => at + step * (first + n),
  );
}

function distance({ x, y, from = x }: Label, { left, right, top, bottom }: Box): number {
  return Math.hypot(Math.max(0, left - x, from - right), Math.max(0, top - y, y - bottom));
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

function within(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
