/** One scenario of `npm run test:faults`: a test that also fills a row of the table that the run prints. */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';

/** What a scenario counts; the table has a dash where it left something out. */
export interface Row {
  jobs: number | null;
  lost: number | null;
  duplicated: number | null;
  /** In seconds: the longest of all. */
  recovery: number | null;
  /** In words: what was done to what, and how often. */
  load: string;
  /** Figures of interest beside the bounds. */
  note: string;
}

/** Sizes of a quick run are smaller; its bounds are the same. */
export const QUICK = process.env.SHOAL_FAULTS_QUICK === '1';

export function sized(full: number, quick: number): number {
  return QUICK ? quick : full;
}

export function scenario(fault: string, run: (row: Row) => Promise<void>): void {
  test(fault, async () => {
    const before = new Set(childPids());
    // Registered first, so it is run last: whatever the scenario started is gone.
    onTestFinished(() => expect(childPids().filter((pid) => !before.has(pid))).toEqual([]));
    const row: Row = { jobs: null, lost: null, duplicated: null, recovery: null, load: '', note: '' };
    const started = performance.now();
    let verdict = 'held';
    try {
      await run(row);
    } catch (error) {
      verdict = `missed: ${String(error).split('\n')[0]}`;
      throw error;
    } finally {
      const seconds = (performance.now() - started) / 1000;
      const report = process.env.SHOAL_FAULTS_REPORT;
      if (report) appendFileSync(report, `${JSON.stringify({ fault, ...row, verdict, seconds })}\n`);
    }
  });
}

/** Children of this process that have not ended. */
function childPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const [state, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/^.*\) /, '')
          .split(' ');
        return Number(parent) === process.pid && state !== 'Z' ? [Number(pid)] : [];
      } catch {
        return [];
      }
    });
}
