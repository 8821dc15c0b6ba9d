/** Loss against speed, each with its interval, as a picture that needs nothing else: SVG. */
import type { SpeedRatio } from '@shoal/contracts';
import { escaped } from './html-text.js';
import { type Box, boxAround, boxesAlong, leader, placed } from './plot-labels.js';
import { figuresOf, type Outcome, type RunState } from './types.js';
import { lossOf, lossWords, OUTCOMES, shapeWords, speedWords } from './words.js';

/** A picture in its own pixels, and what is left free around the frame. */
interface Size {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
}

/** One for each kind of screen, since a picture that is scaled down to a narrow one has words that nobody can read. */
const SIZES = {
  wide: { width: 720, height: 400, left: 72, right: 24 },
  narrow: { width: 360, height: 440, left: 64, right: 16 },
} as const satisfies Readonly<Record<string, Size>>;
export type PlotSize = keyof typeof SIZES;
const [TOP, BOTTOM] = [24, 56];
/** Of the data's range, beyond its ends. */
const ROOM = 0.08;
const TICKS = 5;
/** Losses beyond so many times what is allowed are drawn at the edge: they would press all others into a corner. */
const MOST_LOSS = 4;

interface Point {
  readonly variant: string;
  readonly outcome: Outcome;
  readonly speed: SpeedRatio;
  readonly loss: { readonly mean: number; readonly bound: number };
  /** It passed, and neither the original nor another that passed is as good in both and better in one. */
  readonly best: boolean;
}

/** The speed of one text alone (`first`) or of the largest batch; empty where nothing is measured yet. */
export function plotOf(state: RunState, shape: 'first' | 'last', size: PlotSize): string {
  const { width, height } = SIZES[size];
  const inside = insideOf(SIZES[size]);
  const points = pointsOf(state, shape);
  if (points.length === 0) return '';
  const speeds = points.flatMap(({ speed }) => [speed.low, speed.high]);
  const most = Math.max(
    MOST_LOSS * state.allowed,
    ...points.flatMap(({ loss, outcome }) => (outcome === 'passed' ? loss.bound : [])),
  );
  const losses = points.flatMap(({ loss }) => [loss.mean, loss.bound]).filter((loss) => loss <= most);
  const x = speedScale([1, ...speeds], inside.left, inside.right);
  const y = scaleOf([0, state.allowed, ...losses], inside.bottom, inside.top);
  const texts = shapeWords(points[0]!.speed);
  const front = frontOf(points, x, y);
  const id = `plot-${shape}-${size}`;
  return [
    `<svg class="${size}" role="img" aria-labelledby="${id}-title ${id}-desc" viewBox="0 0 ${width} ${height}" xmlns="http://www.w3.org/2000/svg">`,
    `<title id="${id}-title">${escaped(`Loss against speed for ${texts}`)}</title>`,
    `<desc id="${id}-desc">${escaped(points.map(descriptionOf).join('; '))}</desc>`,
    ...axes(x, y, `speed for ${texts}, the original is 1`),
    line('limit', x.from, y.at(state.allowed), x.to, y.at(state.allowed)),
    front.length < 2 ? '' : `<polyline class="front" points="${front.map((at) => at.map(round).join()).join(' ')}"/>`,
    ...points.flatMap((point) => markOf(point, x, y)),
    `<circle class="original" cx="${round(x.at(1))}" cy="${round(y.at(0))}" r="5"/>`,
    ...labels(state, points, front, { x, y, inside }),
    '</svg>',
  ].join('\n');
}

function insideOf({ width, height, left, right }: Size): Box {
  return { left, right: width - right, top: TOP, bottom: height - BOTTOM };
}

function pointsOf({ rows }: RunState, shape: 'first' | 'last'): readonly Point[] {
  const found = rows.flatMap((row) => {
    const figures = figuresOf(row);
    const speed = shape === 'first' ? figures?.speeds[0] : figures?.speeds.at(-1);
    if (figures === undefined || speed === undefined) return [];
    return [{ variant: row.candidate.variant, outcome: row.outcome, speed, loss: figures.loss }];
  });
  const kept = [ORIGINAL, ...found.filter(({ outcome }) => outcome === 'passed')];
  return found.map((point) => ({
    ...point,
    best: point.outcome === 'passed' && !kept.some((other) => beats(other, point)),
  }));
}

type XY = readonly [x: number, y: number];

interface Place {
  readonly speed: Pick<SpeedRatio, 'ratio'>;
  readonly loss: { readonly mean: number };
}

const ORIGINAL: Place = { speed: { ratio: 1 }, loss: { mean: 0 } };

/** As good in both, and better in one. */
function beats(one: Place, other: Place): boolean {
  const [faster, loses] = [one.speed.ratio - other.speed.ratio, one.loss.mean - other.loss.mean];
  return faster >= 0 && loses <= 0 && (faster > 0 || loses < 0);
}

interface Scale {
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly number[];
  at(value: number): number;
}

/** Linear, with room at both ends. */
function scaleOf(values: readonly number[], from: number, to: number): Scale {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = ROOM * (most - least || Math.abs(most) || 1);
  const [low, high] = [least - room, most + room];
  return {
    ...{ from, to, ticks: ticksBetween(low, high) },
    at: (value) => from + Math.min(1, (value - low) / (high - low)) * (to - from),
  };
}

/** Logarithmic: twice as fast is as far from once as four times is from twice. */
function speedScale(values: readonly number[], from: number, to: number): Scale {
  const [least, most] = [Math.log(Math.min(...values)), Math.log(Math.max(...values))];
  const room = ROOM * (most - least || 1);
  const [low, high] = [least - room, most + room];
  const decades = Array.from({ length: 13 }, (_, n) => 10 ** (n - 6));
  const inside = (tick: number) => Math.log(tick) >= low && Math.log(tick) <= high;
  const ticks = decades.flatMap((decade) => [decade, 2 * decade, 5 * decade]).filter(inside);
  return {
    ...{ from, to, ticks: ticks.length > 1 ? ticks : ticksBetween(Math.exp(low), Math.exp(high)) },
    at: (value) => from + ((Math.log(value) - low) / (high - low)) * (to - from),
  };
}

/** The names of all marks, and what is allowed; where a mark or its bound is beyond the scale, with its figure. */
function labels(
  state: RunState,
  points: readonly Point[],
  front: readonly XY[],
  { x, y, inside }: { readonly x: Scale; readonly y: Scale; readonly inside: Box },
): readonly string[] {
  const limit = y.at(state.allowed);
  const note = { x: x.to, y: limit, from: x.from, words: `allowed: ${lossOf(state.allowed)}` };
  const names = [
    { x: x.at(1), y: y.at(0), words: state.original.variant },
    // What passed comes first, and gets the places that are nearest.
    ...[...points]
      .sort((a, b) => Number(b.outcome === 'passed') - Number(a.outcome === 'passed'))
      .map(({ variant, speed, loss }) => {
        const figure = isBeyond(loss.mean, y)
          ? `: ${lossOf(loss.mean)}`
          : isBeyond(loss.bound, y)
            ? `: ≤ ${lossOf(loss.bound)}`
            : '';
        return { x: x.at(speed.ratio), y: y.at(loss.mean), words: `${variant}${figure}` };
      }),
  ];
  const drawn = [
    ...names.map((name) => boxAround(name.x, name.y)),
    ...boxesAlong(x.from, limit, x.to, limit),
    ...front.slice(1).flatMap((end, n) => boxesAlong(...front[n]!, ...end)),
    ...points.flatMap((point) => whiskersOf(point, x, y).flatMap((ends) => boxesAlong(...ends))),
  ];
  const all = placed([note, ...names], inside, drawn);
  return [
    ...all.filter(({ led }) => led).map((one) => line('leader', ...leader(one))),
    ...all.map(({ label, words, box }) => {
      const before = box.right <= label.x;
      const at = before ? box.right : box.left;
      return text(label === note ? 'note' : 'label', at, box.bottom - 4, words, before ? 'end' : 'start');
    }),
  ];
}

/** Round numbers: 1, 2 or 5 times a power of ten apart. */
function ticksBetween(low: number, high: number): readonly number[] {
  const rough = (high - low) / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, n) => (first + n) * step);
}

function axes(x: Scale, y: Scale, title: string): readonly string[] {
  const { from: bottom, to: top } = y;
  return [
    ...x.ticks.flatMap((tick) => [
      line('grid', x.at(tick), bottom, x.at(tick), top),
      text('tick', x.at(tick), bottom + 18, `${Number(tick.toPrecision(6))}×`, 'middle'),
    ]),
    ...y.ticks.flatMap((tick) => [
      line('grid', x.from, y.at(tick), x.to, y.at(tick)),
      text('tick', x.from - 8, y.at(tick) + 4, `${Number((100 * tick).toPrecision(6))} %`, 'end'),
    ]),
    text('axis', (x.from + x.to) / 2, bottom + BOTTOM - 12, title, 'middle'),
    text('axis', 4, 14, 'loss, up to its bound', 'start'),
  ];
}

/** From the mean of the loss up to its bound, and over the interval of the speed; an arrow where the mean is beyond the scale. */
function markOf(point: Point, x: Scale, y: Scale): readonly string[] {
  const { outcome, speed, loss } = point;
  const [cx, cy] = [round(x.at(speed.ratio)), round(y.at(loss.mean))];
  const kind = outcome === 'passed' ? 'passed' : 'other';
  const whiskers = whiskersOf(point, x, y).map((ends) => line(`whisker ${kind}`, ...ends));
  if (isBeyond(loss.mean, y)) return [...whiskers, arrow(`mark ${kind}`, cx, 7, 14)];
  return [
    ...whiskers,
    ...(isBeyond(loss.bound, y) ? [arrow(`mark ${kind}`, cx, 4, 7)] : []),
    // Told apart by form as well as by colour.
    kind === 'passed'
      ? `<circle class="mark passed" cx="${cx}" cy="${cy}" r="6"/>`
      : `<rect class="mark other" x="${round(cx - 5)}" y="${round(cy - 5)}" width="10" height="10"/>`,
  ];
}

function whiskersOf({ speed, loss }: Point, x: Scale, y: Scale): readonly [number, number, number, number][] {
  const [cx, cy] = [x.at(speed.ratio), y.at(loss.mean)];
  return [
    [x.at(speed.low), cy, x.at(speed.high), cy],
    [cx, cy, cx, y.at(loss.bound)],
  ];
}

function isBeyond(loss: number, { at, to }: Scale): boolean {
  return at(loss) <= to;
}

/** Its tip is over the top edge. */
function arrow(kind: string, x: number, half: number, height: number): string {
  const [tip, foot] = [TOP - 6, TOP - 6 + height];
  return `<polygon class="${kind}" points="${x},${tip} ${round(x - half)},${foot} ${round(x + half)},${foot}"/>`;
}

/** Through the original and what passed, of which nothing else is better in both: what was refused is no setting. */
function frontOf(points: readonly Point[], x: Scale, y: Scale): readonly XY[] {
  const best = points.filter((point) => point.best);
  const front = [...(best.some((point) => beats(point, ORIGINAL)) ? [] : [ORIGINAL]), ...best];
  return [...front]
    .sort((a, b) => a.speed.ratio - b.speed.ratio)
    .map(({ speed, loss }) => [x.at(speed.ratio), y.at(loss.mean)]);
}

function descriptionOf({ variant, outcome, speed, loss }: Point): string {
  return `${variant}: ${speedWords(speed)} the original's speed, loses ${lossWords(loss)}, ${OUTCOMES[outcome]}`;
}

function line(kind: string, x1: number, y1: number, x2: number, y2: number): string {
  return `<line class="${kind}" x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}"/>`;
}

function text(kind: string, x: number, y: number, words: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text class="${kind}" x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escaped(words)}</text>`;
}

function round(value: number): number {
  return Math.round(10 * value) / 10;
}
