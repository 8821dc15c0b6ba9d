/** Who holds a lock, as the names of its files say, and whether there still is such a process. */
import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** `<pid>-<when it began>-<token>-<where its number holds>-<host>` */
const HOLDER = /^(\d+)-(\d*)-([0-9a-f]{8})-(\d*)-(.+)$/;
/** Tells this process from an earlier one of its number where nothing says when processes began. */
const TOKEN = randomUUID().slice(0, 8);
/** Containers of one hostname may number their processes each by itself: Linux tells these spaces of numbers apart. */
const NAMESPACE = namespaceOfPids();

export interface Holder {
  readonly path: string;
  readonly pid: number;
  readonly started: string;
  readonly token: string;
  /** Empty where a machine has one only. */
  readonly namespace: string;
  readonly host: string;
}

/** The name of this process's own file. */
export function ownName(prefix: string): string {
  return `${prefix}${process.pid}-${startOf(process.pid) ?? ''}-${TOKEN}-${NAMESPACE}-${hostname()}`;
}

/** Undefined: the name is of another kind. */
export function holderOf(folder: string, name: string, prefix: string): Holder | undefined {
  if (!name.startsWith(prefix)) return undefined;
  const found = HOLDER.exec(name.slice(prefix.length));
  if (found === null) return undefined;
  const [, pid = '', started = '', token = '', namespace = '', host = ''] = found;
  return { path: join(folder, name), pid: Number(pid), started, token, namespace, host };
}

/** Nobody here can see processes of another machine, nor those of another container. */
export function isSeenFromHere({ host, namespace }: Holder): boolean {
  return host === hostname() && namespace === NAMESPACE;
}

/** Of one that is seen from here: that the process is there, also where it has been stopped. */
export function isThere({ pid, started, token }: Holder): boolean {
  return pid === process.pid ? token === TOKEN : startOf(pid) === started;
}

/** What a file shows of a holder that cannot be seen from here. */
export type Sign =
  /** It has another time than before: somebody is there. */
  | 'stirs'
  /** Nothing yet. */
  | 'still'
  /** Nothing for so long that nobody is there, or whoever is has been stopped. */
  | 'silent'
  | 'gone';

/**
 * Looks at files that holders give a new time again and again. These times are compared with each other only, and silence is measured
 * by the clock of whoever looks: clocks of two machines differ.
 */
export class SignsOfLife {
  readonly #silentMs: number;
  readonly #now: () => number;
  readonly #seen = new Map<string, { readonly time: bigint; readonly since: number }>();

  constructor(silentMs: number, now: () => number) {
    this.#silentMs = silentMs;
    this.#now = now;
  }

  look(path: string): Sign {
    const time = statSync(path, { bigint: true, throwIfNoEntry: false })?.mtimeNs;
    if (time === undefined) {
      this.#seen.delete(path);
      return 'gone';
    }
    const before = this.#seen.get(path);
    if (before?.time === time) return this.#now() - before.since >= this.#silentMs ? 'silent' : 'still';
    this.#seen.set(path, { time, since: this.#now() });
    return before === undefined ? 'still' : 'stirs';
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

function namespaceOfPids(): string {
  try {
    // It reads `pid:[4026531836]`.
    return readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');
  } catch {
    return '';
  }
}
