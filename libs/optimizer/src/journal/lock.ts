/** One run at a time in a folder: two would write one journal, and remove each other's drafts. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { z } from 'zod';

const FILE = 'lock.json';

const Owner = z.object({ host: z.string(), pid: z.int(), started: z.string() });
type Owner = z.infer<typeof Owner>;

/**
 * Returns what gives the folder back. The lock of a process that is not there any more is taken over.
 *
 * @throws ShoalError `invalid_request` naming the process that has it
 */
export function lockFolder(folder: string): () => void {
  const path = join(folder, FILE);
  const own: Owner = { host: hostname(), pid: process.pid, started: startOf(process.pid) ?? '' };
  if (!take(path, own)) {
    refuseOthers(path, ownerIn(path));
    rmSync(path, { force: true });
    if (!take(path, own)) throw taken('this model is being optimised by another process, which began just now');
  }
  return () => rmSync(path, { force: true });
}

/** False: it is there already. */
function take(path: string, own: Owner): boolean {
  try {
    writeFileSync(path, JSON.stringify(own), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    rmSync(path, { force: true });
    throw error;
  }
}

/** @throws ShoalError where its owner is at it, or may be */
function refuseOthers(path: string, owner: Owner | undefined): void {
  // Of one that was ended while it wrote.
  if (owner === undefined) return;
  if (owner.host !== hostname()) {
    throw taken(`this model is being optimised on ${owner.host}; where nothing runs there: rm ${path}`);
  }
  const started = startOf(owner.pid);
  if (started === undefined || started !== owner.started) return;
  throw taken(`this model is being optimised by process ${owner.pid}: wait for it, or stop it`);
}

function ownerIn(path: string): Owner | undefined {
  try {
    return Owner.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined;
  }
}

/** When a process began, which tells it from others of its number; undefined: there is none. */
function startOf(pid: number): string | undefined {
  if (process.platform !== 'linux') return isAlive(pid) ? '' : undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is a name that may hold anything; behind it are the state and, as the twentieth, ticks since the boot.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function taken(message: string): ShoalError {
  return new ShoalError('invalid_request', message);
}
