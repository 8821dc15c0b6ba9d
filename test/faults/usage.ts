/** Memory and open files of processes over time, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';
import { onTestFinished } from 'vitest';

const EVERY_MS = 2000;
const PAGE_BYTES = 4096;

interface Sample {
  readonly at: number;
  readonly bytes: number;
  readonly descriptors: number;
}

export interface Growth {
  readonly name: string;
  /** Resident memory in MiB, median of the first and of the last stretch. */
  readonly mib: readonly [first: number, last: number];
  /** Last over first, less 1. */
  readonly growth: number;
  /** Open files, median of each stretch. */
  readonly descriptors: readonly [first: number, last: number];
}

export class Usage {
  readonly #samples = new Map<string, Sample[]>();

  /** Looks at each process until the test ends. */
  constructor(pids: Readonly<Record<string, number>>) {
    for (const name of Object.keys(pids)) this.#samples.set(name, []);
    const timer = setInterval(() => {
      for (const [name, pid] of Object.entries(pids)) this.#samples.get(name)!.push(look(pid));
    }, EVERY_MS);
    onTestFinished(() => clearInterval(timer));
  }

  /** Between two stretches of time, each given as from and to in `performance.now()`'s ms. */
  growth(first: readonly [number, number], last: readonly [number, number]): Growth[] {
    return [...this.#samples].map(([name, samples]) => {
      const within = ([from, to]: readonly [number, number]) => samples.filter(({ at }) => at >= from && at < to);
      const medians = (of: (sample: Sample) => number) =>
        [median(within(first).map(of)), median(within(last).map(of))] as const;
      const bytes = medians((sample) => sample.bytes);
      return {
        name,
        mib: [bytes[0] / 2 ** 20, bytes[1] / 2 ** 20],
        growth: bytes[1] / bytes[0] - 1,
        descriptors: medians(({ descriptors }) => descriptors),
      };
    });
  }
}

function look(pid: number): Sample {
  const resident = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
  return {
    at: performance.now(),
    bytes: resident * PAGE_BYTES,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
