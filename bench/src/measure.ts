/** One measurement: how fast a contestant was, and what CPU time it took. */
import { readFileSync } from 'node:fs';

export interface Measure {
  /** Items per second of wall time. */
  readonly rate: number;
  /** CPU time in ms per item, user and system, of all processes of the contestant; NaN where /proc is missing. */
  readonly cpuMs: number;
}

/** Times `run`, which handles `count` items with this process and those of `pids`. */
export async function measure(count: number, pids: readonly number[], run: () => Promise<unknown>): Promise<Measure> {
  const all = [process.pid, ...pids];
  const cpuBefore = cpuMs(all);
  const started = performance.now();
  await run();
  const ms = performance.now() - started;
  return { rate: (1000 * count) / ms, cpuMs: (cpuMs(all) - cpuBefore) / count };
}

/** Linux counts in hundredths of a second (USER_HZ), whatever the kernel's own tick is. */
const MS_PER_TICK = 10;

/** CPU time that the processes have used since they started, all threads. */
export function cpuMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const stat = readStat(pid);
    // The second field is the program's name in brackets, which may hold anything; utime and stime are 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return sum + MS_PER_TICK * (Number(fields[11]) + Number(fields[12]));
  }, 0);
}

function readStat(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return '';
  }
}
