/**
 * One of many processes that want the same at once: `node racer.js lock <folder> <rounds> [elsewhere]` takes the lock of a folder so
 * often, each time from a dead run, of another container where that is asked for, and prints how often another one had it too; `node racer.js quality <folder> <variant> <times>` writes what was
 * measured of that variant so often.
 */
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { ShoalError } from '@shoal/contracts';
import { lockFolder } from '../journal/lock.js';
import { writeQuality } from '../quality/quality-file.js';
import { measured } from './measured.js';

/** So that a test can wait for it. */
const times = { renewMs: 20, silentMs: 200 };

const [what, folder = '', ...rest] = process.argv.slice(2);
if (what === 'lock') process.stdout.write(String(await race(Number(rest[0]), rest[1] === 'elsewhere')));
else for (let n = 0; n < Number(rest[1]); n++) await writeQuality(folder, rest[0]!, measured(n / 1000), 'fp32');

/** Rounds in which two were inside at once. */
async function race(rounds: number, elsewhere: boolean): Promise<number> {
  let twice = 0;
  for (let done = 0; done < rounds; ) {
    const lock = await lockFolder(folder, { times }).catch((error: unknown) => {
      if (error instanceof ShoalError) return undefined;
      throw error;
    });
    if (lock === undefined) continue;
    done += 1;
    twice += (await isAlone()) ? 0 : 1;
    // A run that was ended without giving it back, beside it.
    const own = /^lock-\d+-\d*-[0-9a-f]{8}-(?<namespace>\d*)-(?<host>.+)$/.exec(basename(lock.path))!.groups!;
    const namespace = elsewhere ? `${own.namespace}7` : own.namespace;
    writeFileSync(join(folder, `lock-${2 ** 22 + done}-1-deadbeef-${namespace}-${own.host}`), '');
    lock.unlock();
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
