/** How far something is that takes its time: one line that changes on a terminal, a plain line now and then elsewhere. */

/** Ms over which a rate is taken. */
const WINDOW_MS = 5000;
/** Ms between two drawings of the line. */
const DRAW_MS = 100;
/** Ms between two plain lines. */
const PLAIN_MS = 10_000;
/** Erases the line, which the next one takes. */
const CLEAR = '\r\x1b[K';
const BAR = 20;

export interface Step {
  /** What is under way: a file, a variant. */
  readonly name: string;
  /** In bytes, or what `unit` says. */
  readonly done: number;
  /** Undefined where nobody knows. */
  readonly total: number | undefined;
  /** `share`: of a whole that has no size that would tell anything. */
  readonly unit?: 'bytes' | 'share';
}

interface Sample {
  readonly at: number;
  readonly done: number;
}

/** Bytes per second over the latest seconds. */
export class Rate {
  readonly #samples: Sample[] = [];

  /** Notes how much is done at a time in ms; resolves to the rate, undefined while there is nothing to tell it from. */
  next(done: number, at: number): number | undefined {
    const latest = this.#samples.at(-1);
    // A file that is fetched anew, or another step.
    if (latest !== undefined && done < latest.done) this.#samples.length = 0;
    this.#samples.push({ done, at });
    while (this.#samples.length > 2 && at - this.#samples[1]!.at >= WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0]!;
    return at - first.at < DRAW_MS ? undefined : ((done - first.done) / (at - first.at)) * 1000;
  }
}

/** Where a display writes, and what time it is in ms. */
export interface Terminal {
  /** True where a line can be drawn over. */
  readonly isTerminal: boolean;
  readonly draw: (text: string) => void;
  readonly print: (line: string) => void;
  readonly now: () => number;
}

export class ProgressDisplay {
  readonly #terminal: Terminal;
  #rate = new Rate();
  /** When the latest line was drawn; of plain lines the first one waits as long as the others. */
  #drawn: number | undefined;
  #sampled: number | undefined;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** A line that stays. */
  say = (line: string): void => {
    if (this.#terminal.isTerminal) this.#terminal.draw(CLEAR);
    this.#terminal.print(line);
  };

  show(step: Step): void {
    const { isTerminal, now, draw, print } = this.#terminal;
    const at = now();
    this.#drawn ??= isTerminal ? Number.NEGATIVE_INFINITY : at;
    const due = at - this.#drawn >= (isTerminal ? DRAW_MS : PLAIN_MS);
    if (!due && this.#sampled !== undefined && at - this.#sampled < DRAW_MS) return;
    this.#sampled = at;
    const rate = this.#rate.next(step.done, at);
    if (!due) return;
    this.#drawn = at;
    const line = lineOf(step, rate);
    if (isTerminal) draw(`${CLEAR}${line}`);
    else print(line);
  }

  /** A line that tells its own words, as often as others are drawn. */
  showLine(line: string): void {
    const { isTerminal, now, draw, print } = this.#terminal;
    const at = now();
    this.#drawn ??= isTerminal ? Number.NEGATIVE_INFINITY : at;
    if (at - this.#drawn < (isTerminal ? DRAW_MS : PLAIN_MS)) return;
    this.#drawn = at;
    if (isTerminal) draw(`${CLEAR}${line}`);
    else print(line);
  }

  /** What follows is measured for itself. */
  next(): void {
    if (this.#terminal.isTerminal) this.#terminal.draw(CLEAR);
    this.#rate = new Rate();
    this.#drawn = undefined;
    this.#sampled = undefined;
  }
}

/** Of `share` from 0 to 1. */
export function barOf(share: number): string {
  const filled = Math.floor(Math.min(1, share) * BAR);
  return `[${'#'.repeat(filled)}${'-'.repeat(BAR - filled)}]`;
}

function lineOf({ name, done, total, unit = 'bytes' }: Step, rate: number | undefined): string {
  const speed = rate === undefined ? '' : `, ${megabytes(rate)}/s`;
  if (total === undefined) return `  ${name}: ${megabytes(done)}${speed}`;
  const share = total === 0 ? 1 : done / total;
  const left = rate === undefined || rate <= 0 ? '' : `, ${timeOf((total - done) / rate)} left`;
  const size = unit === 'share' ? '' : ` of ${megabytes(total)}${speed}`;
  return `  ${barOf(share)} ${Math.floor(share * 100)} %${size}${left}  ${name}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

/** Of seconds. */
export function timeOf(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Of this process: what stays goes to stdout, what is drawn over to stderr. */
export function terminal(): Terminal {
  return {
    isTerminal: process.stderr.isTTY === true,
    draw: (text) => void process.stderr.write(text),
    print: (line) => console.log(line),
    now: () => performance.now(),
  };
}
