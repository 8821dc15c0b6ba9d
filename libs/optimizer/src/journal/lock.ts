/**
 * One process at a time at what a folder holds. Each that wants it puts a file of its own there, whose name says who it is, and then
 * looks who else has: the file comes before the look, so of two that come at once at least one sees the other, and who sees another
 * one that is alive gives way. No file is ever taken over, so nothing can be taken from somebody who has just got it; what dead
 * processes have left is removed by whoever sees it.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ShoalError } from '@shoal/contracts';

/** Of a run of `shoal optimize`. */
const RUN = 'lock-';
/** Tries for it, since two that came at once have both given way, and of what is held for ms only; ms between two at most. */
const [RUN_TRIES, WRITE_TRIES, LONGEST_PAUSE_MS] = [5, 500, 40];
/** `<pid>-<when it began>-<token>-<where its number holds>-<host>` */
const HOLDER = /^(\d+)-(\d*)-([0-9a-f]{8})-(\d*)-(.+)$/;
/** Tells this process from an earlier one of its number where nothing says when processes began. */
const TOKEN = randomUUID().slice(0, 8);
/** Containers of one hostname may number their processes each by itself: Linux tells these spaces of numbers apart. */
const NAMESPACE = namespaceOfPids();

interface Holder {
  readonly path: string;
  readonly pid: number;
  readonly started: string;
  readonly token: string;
  /** Empty where a machine has one only. */
  readonly namespace: string;
  readonly host: string;
}

/** The file of its own that a process has as long as it holds the lock. */
interface Held {
  readonly path: string;
}

/**
 * The lock of a run of `shoal optimize`: two would write one journal, and remove each other's drafts. Resolves to what gives the folder
 * back.
 *
 * @throws ShoalError `invalid_request` naming the process that has it
 */
export async function lockFolder(folder: string): Promise<() => void> {
  const taken = await attempt(folder, RUN, RUN_TRIES);
  if (!('pid' in taken)) return () => rmSync(taken.path, { force: true });
  const { host, pid, path } = taken;
  const place = host === hostname() ? `in another container that is called ${host}` : `on ${host}`;
  throw new ShoalError(
    'invalid_request',
    isSeenFromHere(taken)
      ? `this model is being optimised by process ${pid}: wait for it, or stop it`
      : `this model is being optimised ${place}; where nothing runs there: rm ${path}`,
  );
}

/**
 * Waits for a lock that is held for moments, does the work, and gives it back. `own` is the file that this process holds it by: what
 * is renamed from it into its place is there and unlocked in one step.
 *
 * @param prefix what names of the lock's files begin with
 * @throws ShoalError `invalid_request` where another process does not give it back; what the work throws
 */
export async function whileLocked<T>(folder: string, prefix: string, work: (own: string) => Promise<T>): Promise<T> {
  const taken = await attempt(folder, prefix, WRITE_TRIES);
  if ('pid' in taken) {
    const { host, pid, path } = taken;
    const message = `process ${pid} on ${host} is writing in ${folder} and does not end; where there is no such process: rm ${path}`;
    throw new ShoalError('invalid_request', message);
  }
  try {
    return await work(taken.path);
  } finally {
    rmSync(taken.path, { force: true });
  }
}

/** The last one's holder where none of the tries has it. */
async function attempt(folder: string, prefix: string, tries: number): Promise<Held | Holder> {
  for (let left = tries - 1; ; left--) {
    const taken = take(folder, prefix);
    if (!('pid' in taken) || left === 0) return taken;
    await pause(randomInt(1, LONGEST_PAUSE_MS));
  }
}

function take(folder: string, prefix: string): Held | Holder {
  const name = `${prefix}${process.pid}-${startOf(process.pid) ?? ''}-${TOKEN}-${NAMESPACE}-${hostname()}`;
  const path = join(folder, name);
  try {
    writeFileSync(path, '', { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return holderOf(folder, name, prefix)!;
    rmSync(path, { force: true });
    throw error;
  }
  for (const other of readdirSync(folder)) {
    const holder = other === name ? undefined : holderOf(folder, other, prefix);
    if (holder === undefined) continue;
    if (mayBeAtIt(holder)) {
      rmSync(path, { force: true });
      return holder;
    }
    rmSync(holder.path, { force: true });
  }
  return { path };
}

function holderOf(folder: string, name: string, prefix: string): Holder | undefined {
  if (!name.startsWith(prefix)) return undefined;
  const found = HOLDER.exec(name.slice(prefix.length));
  if (found === null) return undefined;
  const [, pid = '', started = '', token = '', namespace = '', host = ''] = found;
  return { path: join(folder, name), pid: Number(pid), started, token, namespace, host };
}

/** Nobody here can see processes of another machine, nor those of another container. */
function isSeenFromHere({ host, namespace }: Holder): boolean {
  return host === hostname() && namespace === NAMESPACE;
}

function mayBeAtIt(holder: Holder): boolean {
  if (!isSeenFromHere(holder)) return true;
  const { pid, started, token } = holder;
  if (pid === process.pid) return token === TOKEN;
  return startOf(pid) === started;
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

function namespaceOfPids(): string {
  try {
    // It reads `pid:[4026531836]`.
    return readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');
  } catch {
    return '';
  }
}
