/** The garbage collector on demand, and what is left after it. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

export const collectGarbage = runInNewContext('gc') as () => void;

/** Mebibytes by which the process grows over `count` calls, after as many to warm up. */
export async function memoryGrowth(count: number, call: (i: number) => Promise<unknown>): Promise<number> {
  const resident: number[] = [];
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < count; i++) await call(i);
    collectGarbage();
    resident.push(process.memoryUsage().rss);
  }
  return (resident[1]! - resident[0]!) / 2 ** 20;
}
