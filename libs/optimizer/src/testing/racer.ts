/**
 * One of many processes that want the same at once: `node racer.js lock <folder> <rounds>` takes the lock of a folder so often, each
 * time from dead runs, and prints how often another one had it too; `node racer.js quality <folder> <variant> <times>` writes what was
 * measured of that variant so often.
 */
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { ShoalError } from '@shoal/contracts';
import { lockFolder } from '../journal/lock.js';
import { writeQuality } from '../quality/quality-file.js';
import { measured } from './measured.js';

const [what, folder = '', ...rest] = process.argv.slice(2);
if (what === 'lock') process.stdout.write(String(await race(Number(rest[0]))));
else for (let n = 0; n < Number(rest[1]); n++) await writeQuality(folder, rest[0]!, measured(n / 1000), 'fp32');

/** Rounds in which two were inside at once. */
async function race(rounds: number): Promise<number> {
  let twice = 0;
  for (let done = 0; done < rounds; ) {
    const unlock = await lockFolder(folder).catch((error: unknown) => {
      if (error instanceof ShoalError) return undefined;
      throw error;
    });
    if (unlock === undefined) continue;
    done += 1;
    twice += (await isAlone()) ? 0 : 1;
    // A run that was ended without giving it back, beside it.
    writeFileSync(join(folder, `lock-${2 ** 22 + done}-1-deadbeef-${hostname()}`), '');
    unlock();
  }
  return twice;
}

/** Whoever is inside has this file, and stays for a few turns of the loop. */
async function isAlone(): Promise<boolean> {
  const inside = join(folder, 'inside');
  try {
    closeSync(openSync(inside, 'wx'));
  } catch {
    return false;
  }
  for (let n = 0; n < 20; n++) await turn();
  rmSync(inside);
  return true;
}
