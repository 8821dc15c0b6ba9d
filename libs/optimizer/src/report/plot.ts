/** Loss against speed, each with its interval, as a picture that needs nothing else: SVG. */
import type { SpeedRatio } from '@shoal/contracts';
import { escaped } from './html-text.js';
import { figuresOf, type Outcome, type RunState } from './types.js';
import { lossOf, lossWords, OUTCOMES, shapeWords, speedWords } from './words.js';

const [WIDTH, HEIGHT] = [720, 400];
const FRAME = { left: 72, right: 24, top: 24, bottom: 56 };
/** Of the data's range, beyond its ends. */
const ROOM = 0.08;
const TICKS = 5;
/** Losses beyond so many times what is allowed are drawn at the edge: they would press all others into a corner. */
const MOST_LOSS = 4;
/** Height of a label, and the width that one is taken to have. */
const LABEL = { height: 13, width: 96 };

interface Point {
  readonly variant: string;
  readonly outcome: Outcome;
  readonly speed: SpeedRatio;
  readonly loss: { readonly mean: number; readonly bound: number };
  /** None other is faster and loses less. */
  readonly best: boolean;
}

/** The speed of one text alone (`first`) or of the largest batch; empty where nothing is measured yet. */
export function plotOf(state: RunState, shape: 'first' | 'last'): string {
  const points = pointsOf(state, shape);
  if (points.length === 0) return '';
  const speeds = points.flatMap(({ speed }) => [speed.low, speed.high]);
  const most = Math.max(
    MOST_LOSS * state.allowed,
    ...points.flatMap(({ loss, outcome }) => (outcome === 'passed' ? loss.bound : [])),
  );
  const losses = points.flatMap(({ loss }) => [loss.mean, loss.bound]).filter((loss) => loss <= most);
  const x = speedScale([1, ...speeds], FRAME.left, WIDTH - FRAME.right);
  const y = scaleOf([0, state.allowed, ...losses], HEIGHT - FRAME.bottom, FRAME.top);
  const texts = shapeWords(points[0]!.speed);
  const id = `plot-${shape}`;
  return [
    `<svg role="img" aria-labelledby="${id}-title ${id}-desc" viewBox="0 0 ${WIDTH} ${HEIGHT}" xmlns="http://www.w3.org/2000/svg">`,
    `<title id="${id}-title">${escaped(`Loss against speed for ${texts}`)}</title>`,
    `<desc id="${id}-desc">${escaped(points.map(descriptionOf).join('; '))}</desc>`,
    ...axes(x, y, `speed for ${texts}, the original is 1`),
    line('limit', x.from, y.at(state.allowed), x.to, y.at(state.allowed)),
    text('note', x.to, y.at(state.allowed) - 6, `allowed: ${lossOf(state.allowed)}`, 'end'),
    frontOf(points, x, y),
    ...points.flatMap((point) => markOf(point, x, y)),
    `<circle class="original" cx="${round(x.at(1))}" cy="${round(y.at(0))}" r="5"/>`,
    ...labels([
      { x: x.at(1), y: y.at(0), words: state.original.variant },
      ...points.map(({ variant, speed, loss }) => {
        const beyond = y.at(loss.mean) <= FRAME.top;
        const words = beyond ? `${variant}: ${lossOf(loss.mean)}` : variant;
        return { x: x.at(speed.ratio), y: y.at(loss.mean), words };
      }),
    ]),
    '</svg>',
  ].join('\n');
}

function pointsOf({ rows }: RunState, shape: 'first' | 'last'): readonly Point[] {
  const found = rows.flatMap((row) => {
    const figures = figuresOf(row);
    const speed = shape === 'first' ? figures?.speeds[0] : figures?.speeds.at(-1);
    if (figures === undefined || speed === undefined) return [];
    return [{ variant: row.candidate.variant, outcome: row.outcome, speed, loss: figures.loss }];
  });
  return found.map((point) => ({
    ...point,
    best: !found.some(
      ({ speed, loss }) =>
        speed.ratio >= point.speed.ratio &&
        loss.mean <= point.loss.mean &&
        (speed.ratio > point.speed.ratio || loss.mean < point.loss.mean),
    ),
  }));
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

interface Label {
  readonly x: number;
  readonly y: number;
  readonly words: string;
}

/** Beside their marks, one above the other where they would lie on each other; those near the right end stand before their mark. */
function labels(all: readonly Label[]): readonly string[] {
  const placed: Label[] = [];
  for (const label of [...all].sort((a, b) => a.y - b.y || a.x - b.x)) {
    const left = label.x > WIDTH - FRAME.right - LABEL.width;
    const x = left ? label.x - 9 : label.x + 9;
    const own = Math.max(label.y + 4, FRAME.top + 12);
    const isFree = (y: number) =>
      y > FRAME.top && !placed.some((o) => Math.abs(o.x - x) < LABEL.width && Math.abs(o.y - y) < LABEL.height);
    // The nearest free place, below or above.
    const steps = Array.from({ length: 2 * all.length + 1 }, (_, n) => (n % 2 === 0 ? -n / 2 : (n + 1) / 2));
    const y = steps.map((step) => own + step * LABEL.height).find(isFree) ?? own;
    placed.push({ x, y, words: text('label', x, y, label.words, left ? 'end' : 'start') });
  }
  return placed.map(({ words }) => words);
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
  const [bottom, top] = [HEIGHT - FRAME.bottom, FRAME.top];
  return [
    ...x.ticks.flatMap((tick) => [
      line('grid', x.at(tick), bottom, x.at(tick), top),
      text('tick', x.at(tick), bottom + 18, `${Number(tick.toPrecision(6))}×`, 'middle'),
    ]),
    ...y.ticks.flatMap((tick) => [
      line('grid', x.from, y.at(tick), x.to, y.at(tick)),
      text('tick', x.from - 8, y.at(tick) + 4, `${Number((100 * tick).toPrecision(6))} %`, 'end'),
    ]),
    text('axis', (x.from + x.to) / 2, HEIGHT - 12, title, 'middle'),
    text('axis', x.from, 14, 'loss, up to its bound', 'middle'),
  ];
}

/** From the mean of the loss up to its bound, and over the interval of the speed. */
function markOf({ outcome, speed, loss }: Point, x: Scale, y: Scale): readonly string[] {
  const [cx, cy] = [x.at(speed.ratio), y.at(loss.mean)];
  const kind = outcome === 'passed' ? 'passed' : 'other';
  return [
    line(`whisker ${kind}`, x.at(speed.low), cy, x.at(speed.high), cy),
    line(`whisker ${kind}`, cx, cy, cx, y.at(loss.bound)),
    // Told apart by form as well as by colour.
    kind === 'passed'
      ? `<circle class="mark passed" cx="${round(cx)}" cy="${round(cy)}" r="6"/>`
      : `<rect class="mark other" x="${round(cx - 5)}" y="${round(cy - 5)}" width="10" height="10"/>`,
  ];
}

/** Through those that nothing else beats, in both. */
function frontOf(points: readonly Point[], x: Scale, y: Scale): string {
  const front = points.filter(({ best }) => best).sort((a, b) => a.speed.ratio - b.speed.ratio);
  if (front.length < 2) return '';
  const places = front.map(({ speed, loss }) => `${round(x.at(speed.ratio))},${round(y.at(loss.mean))}`);
  return `<polyline class="front" points="${places.join(' ')}"/>`;
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
