/**
 * The folder beside the models in which an import makes a version. Its name tells the process that it belongs to, so that what
 * one left that was killed is removed by the next; on a shared disk it may be that of another machine, which nobody here can
 * see.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** Model folders skip names that start with a dot. */
const PREFIX = '.import-';
const OWNED = /^\.import-(?<machine>[0-9a-f]{8})-(?<pid>\d+)-(?<started>\d+)-/;

/** An empty folder in `models`. */
export function makeDraft(models: string): string {
  const started = startOf(process.pid) ?? '0';
  return mkdtempSync(join(models, `${PREFIX}${thisMachine()}-${process.pid}-${started}-`));
}

/** Removes what nobody is at any more. Returns what there is to say of it, and of what may be another machine's. */
export function removeLeftovers(models: string): readonly string[] {
  const machine = thisMachine();
  return readdirSync(models).flatMap((name) => {
    if (!name.startsWith(PREFIX)) return [];
    const path = join(models, name);
    const owner = OWNED.exec(name)?.groups;
    if (owner?.machine !== machine) {
      return `${path} is of an import elsewhere, or before this machine was started anew; where none runs: rm -r ${path}`;
    }
    if (startOf(Number(owner.pid)) === owner.started) return [];
    rmSync(path, { recursive: true, force: true });
    return `Removed what an import that was killed has left: ${path}`;
  });
}

/** Whoever has another one cannot tell whether a process of ours is there: since it was started, and of one container. */
function thisMachine(): string {
  const parts = [
    hostname(),
    textOf(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    textOf(() => readlinkSync('/proc/self/ns/pid')),
  ];
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 8);
}

/** When a process began, in ticks since the machine did, which tells it from others of its number; undefined: there is none. */
function startOf(pid: number): string | undefined {
  const stat = textOf(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  // Its second field is a name that may hold anything; this is the twentieth behind it.
  if (stat !== '') return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return process.platform !== 'linux' && isAlive(pid) ? '0' : undefined;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Empty where it cannot be read: not every system has these files. */
function textOf(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
