/**
 * The repository as it changes. It is looked at again and again: network file systems tell nobody of changes that others
 * make. A look reads names, sizes and times only; a folder is read when it has stood still for a while and has all files that it
 * names, so that one that is being copied is not taken for whole. Where the repository cannot be seen, or is an empty folder in place of another one (a
 * mount that is away), nothing has changed.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Model } from '../types.js';
import { type Aliases, NO_ALIASES, readAliases } from './aliases.js';
import { type Arrival, arrivalOf } from './arrival.js';
import { invalid } from './files.js';
import { type FolderPrint, printOf } from './folder-print.js';
import { GraphIdentities } from './graph-identity.js';
import { QUALITY_FILE, QUALITY_LOCK, type ReadVersion, withQuality } from './quality.js';
import { ALIASES_FILE, aliasProblems, findRoot, ignoredProblems, type Repository, readVersion } from './repository.js';
import { findVersionFolders, type ModelProblem, reasonOf, type VersionFolder } from './version-folders.js';

/** Between two looks: at least so long, and so many times what a look takes, but then not so long that changes go unseen. */
const LOOK_MS = 500;
const REST = 10;
const LONGEST_REST_MS = 2000;
/** Looks after which what has not changed stands still, and what is missing counts as gone. */
const STEADY_LOOKS = 2;
/**
 * Ms for which a folder that does not list its files must stand still: who copies pauses between two of them. It is measured
 * from the look that has seen the latest change: clocks of file servers are their own.
 */
const QUIET_MS = 3000;
/** Looks after which a file that is under way and does not grow is worth a word: half a minute. */
const STALLED_LOOKS = 60;
const STALLED_MS = 30_000;
/** As many as `QUIET_MS` takes: what was changed just before the start may still be on its way. */
const START_LOOKS = 8;

export interface WatchOptions {
  /** Told of each problem once, until it has another message. */
  readonly onProblem: (problem: ModelProblem) => void;
  /**
   * The repository cannot be looked at, which is told once until it can be, or what follows from a change has failed: everything
   * stays as it was seen last.
   */
  readonly onTrouble: (error: Error) => void;
  /** Ms of a clock that never goes back. */
  readonly now?: () => number;
}

export interface RepositoryWatch {
  /**
   * As it was seen last. A Model is the same object as long as its folder does not change; where nothing but its
   * `quality.json` has, it is another one of the same reading (isSameReading).
   */
  readonly current: Repository;
  /**
   * Keeps looking, until `stop`. `onChange` is told of each new state, and again where it rejects; the next look comes after
   * it.
   */
  start(onChange: OnChange): void;
  /** Resolves when the look that is under way has ended. */
  stop(): Promise<void>;
}

type OnChange = (repository: Repository) => Promise<void>;

/** A folder, or models.json, as it was seen. */
interface Seen<T> {
  /** Undefined: it is not there. */
  print: FolderPrint | undefined;
  /** Looks in a row that have found the same. */
  looks: number;
  /** When the first of them was. */
  since: number;
  /** What has not come yet, and what names it. */
  missing: Arrival['missing'];
  /** The text of `print` when it was read; null: never. */
  readAs: string | undefined | null;
  value: T;
  problem: string | null;
}

/**
 * Reads all at once, but for what is just being copied; once it is started, whatever changes from then on. `root` may be a link,
 * which is followed wherever it points to. @throws ShoalError `model_invalid` where it cannot be read
 */
export async function watchRepository(root: string, options: WatchOptions): Promise<RepositoryWatch> {
  const watch = new Watch(root, options);
  const isOld = ({ changedAt }: FolderPrint) => Date.now() - changedAt >= QUIET_MS;
  const look = () => watch.look((seen, print, isWhole) => isOld(print) || watch.isStill(seen, print, isWhole));
  await look();
  for (let n = 0; n < START_LOOKS && watch.hasUnread; n++) {
    await pause(LOOK_MS);
    await look();
  }
  return watch;
}

/** Whether a folder has stood still for long enough to be read; `isWhole` where it lists its files, and they are there. */
type Still = (seen: Pick<Seen<unknown>, 'looks' | 'since'>, print: FolderPrint, isWhole: boolean) => boolean;

/** A folder, whatever leads to it. */
interface Root {
  readonly path: string;
  readonly id: string;
}

const NOTHING: ReadVersion = { models: [], ignored: [], isPending: false };

class Watch implements RepositoryWatch {
  readonly #given: string;
  /** As it was seen last. */
  #root: Root | undefined;
  /** What was told last, as long as it lasts. */
  #trouble: string | undefined;
  readonly #options: WatchOptions;
  readonly #now: () => number;
  readonly #folders = new Map<string, Seen<ReadVersion> & { readonly folder: VersionFolder }>();
  #odd: readonly ModelProblem[] = [];
  readonly #aliases: Seen<Aliases> = { ...unseen(NO_ALIASES), readAs: undefined };
  readonly #stop = new AbortController();
  /** Many gigabytes may have to be read, for which no model waits: until then it is served as one that nobody has measured. */
  readonly #identities = new GraphIdentities(this.#stop.signal);
  #current: Repository = { models: [], aliases: NO_ALIASES, problems: [] };
  #running: Promise<void> = Promise.resolve();
  /** What the latest look took, without what was read then. */
  #lookedMs = 0;

  constructor(root: string, options: WatchOptions) {
    this.#given = root;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  get current(): Repository {
    return this.#current;
  }

  start(onChange: OnChange): void {
    this.#running = this.#run(onChange);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(onChange: OnChange): Promise<void> {
    const { signal } = this.#stop;
    let told: Repository | undefined = this.#current;
    while (!signal.aborted) {
      await pause(restAfter(this.#lookedMs), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await this.look();
        this.#trouble = undefined;
      } catch (error) {
        this.#tell(error as Error);
        continue;
      }
      if (this.#current === told) continue;
      try {
        await onChange(this.#current);
        told = this.#current;
      } catch (error) {
        this.#options.onTrouble(error as Error);
      }
    }
  }

  #tell(trouble: Error): void {
    if (trouble.message !== this.#trouble) this.#options.onTrouble(trouble);
    this.#trouble = trouble.message;
  }

  /** Whether there is something that looks whole and was not read yet. */
  get hasUnread(): boolean {
    return [...this.#folders.values()].some(
      ({ print, readAs, missing }) => print && !print.copying && !missing && print.text !== readAs,
    );
  }

  isStill: Still = ({ looks, since }, _, isWhole) =>
    looks >= STEADY_LOOKS && (isWhole || this.#now() - since >= QUIET_MS);

  /** Reads what was read otherwise before, has all that it names, and is `still`. */
  async look(still: Still = this.isStill): Promise<void> {
    const from = performance.now();
    let readMs = 0;
    const reading = async (work: Promise<void>) => {
      const begun = performance.now();
      await work;
      readMs += performance.now() - begun;
    };
    const root = await rootOf(this.#given);
    const { folders, problems: found } = await findVersionFolders(root.path);
    if (this.#root !== undefined && this.#root.id !== root.id && this.#folders.size > 0 && folders.length === 0) {
      throw invalid(`${this.#given} is another folder than before, and empty: models stay as they were`);
    }
    // Whatever lies elsewhere now is read anew, from there.
    if (this.#root !== undefined && this.#root.path !== root.path) {
      for (const seen of [...this.#folders.values(), this.#aliases]) seen.readAs = null;
    }
    this.#root = root;
    for (const folder of folders) {
      if (!this.#folders.has(folder.path)) this.#folders.set(folder.path, { ...unseen(NOTHING), folder });
    }
    const there = new Set(folders.map(({ path }) => path));
    // One that cannot be listed is not gone.
    const unsure = new Set(found.map((problem) => problem.folder));
    let changed = false;
    for (const [path, seen] of this.#folders) {
      if (unsure.has(seen.folder.name) && !there.has(path)) continue;
      const print = there.has(path) ? await printOf(join(root.path, path)) : undefined;
      if (!note(seen, print, this.#now()) || !(await hasCome(join(root.path, path), seen, still))) {
        if (seen.value.isPending && (await compareAgain(join(root.path, path), seen, this.#identities))) changed = true;
        continue;
      }
      await reading(read(seen, readerOf(root.path, seen, this.#identities), NOTHING));
      if (print === undefined) this.#folders.delete(path);
      changed = true;
    }
    const aliases = await printOf(join(root.path, ALIASES_FILE));
    if (note(this.#aliases, aliases, this.#now()) && isDue(this.#aliases, still, true)) {
      // What can be read no more leaves the names as they were.
      await reading(read(this.#aliases, () => readAliases(root.path), this.#aliases.value, NO_ALIASES));
      changed = true;
    }
    this.#lookedMs = performance.now() - from - readMs;
    if (changed) this.#odd = aliasProblems(this.#aliases.value, this.#models());
    const problems = [...found, ...this.#problems(), ...this.#odd];
    const news = problems.filter((problem) => !this.#current.problems.some((known) => isSame(known, problem)));
    for (const problem of news) this.#options.onProblem(problem);
    if (changed || news.length > 0 || problems.length < this.#current.problems.length) {
      this.#current = this.#snapshot(problems);
    }
  }

  #snapshot(problems: readonly ModelProblem[]): Repository {
    return { models: this.#models(), aliases: this.#aliases.value, problems };
  }

  #models(): readonly Model[] {
    const byName = [...this.#folders.values()].sort(
      ({ folder: a }, { folder: b }) => compare(a.name, b.name) || Number(b.version) - Number(a.version),
    );
    return byName.flatMap(({ value }) => value.models);
  }

  #problems(): ModelProblem[] {
    const folders = [...this.#folders].map(([folder, seen]) => ({ folder, message: stalled(seen) ?? seen.problem }));
    const faults = [...folders, { folder: ALIASES_FILE, message: this.#aliases.problem }].flatMap(
      ({ folder, message }) => (message === null ? [] : [{ folder, message }]),
    );
    return [...faults, ...[...this.#folders].flatMap(([folder, { value }]) => ignoredProblems(folder, value))];
  }
}

/** Ms until the next look, after one that took `ms`: of a slow file system no more than half the time is taken up. */
export function restAfter(ms: number): number {
  return Math.max(LOOK_MS, Math.min(REST * ms, Math.max(LONGEST_REST_MS, ms)));
}

function unseen<T>(value: T): Seen<T> {
  return { print: undefined, looks: 0, since: 0, missing: undefined, readAs: null, value, problem: null };
}

/** The folder that a path leads to now, which tells a mount from the folder that it is mounted on. @throws ShoalError `model_invalid` */
async function rootOf(given: string): Promise<Root> {
  const path = await findRoot(given);
  const { dev, ino } = await stat(path).catch((cause: unknown) => {
    throw invalid(`the model folder ${given} cannot be read`, cause);
  });
  return { path, id: `${dev} ${ino}` };
}

/** How a folder is read: where nothing but what was measured has changed since it was, its graphs need not be looked at again. */
function readerOf(
  root: string,
  { folder, print, readAs, value }: Seen<ReadVersion> & { readonly folder: VersionFolder },
  identities: GraphIdentities,
) {
  const isOnlyQuality = value.models.length > 0 && withoutQuality(print?.text) === withoutQuality(readAs);
  if (isOnlyQuality) return () => withQuality(join(root, folder.path), value.models, identities);
  return () => readVersion(root, folder, identities);
}

/** Looks at graphs again that were being read, or could not be; whether that has come to anything else. */
async function compareAgain(folder: string, seen: Seen<ReadVersion>, identities: GraphIdentities): Promise<boolean> {
  // What is another folder by now is read as a whole.
  if (seen.print?.text !== seen.readAs) return false;
  const told = ({ models, ignored, isPending }: ReadVersion) => [models.map((one) => one.quality), ignored, isPending];
  const value = await withQuality(folder, seen.value.models, identities);
  if (isDeepStrictEqual(told(value), told(seen.value))) return false;
  seen.value = value;
  return true;
}

/** The print of a folder (folder-print.ts) without the lines of that file and of whoever is about to write it. */
function withoutQuality(print: string | undefined | null): string | undefined {
  return print
    ?.split('\n')
    .filter((line) => !(line.startsWith(`${QUALITY_FILE} `) || line.startsWith(QUALITY_LOCK)))
    .join('\n');
}

/** True where it is to be read, once it is all there. */
function note(seen: Seen<unknown>, print: FolderPrint | undefined | null, now: number): boolean {
  // What cannot be looked at now is as it was.
  if (print === null) return false;
  const isSame = seen.looks > 0 && seen.print?.text === print?.text;
  seen.looks = isSame ? seen.looks + 1 : 1;
  if (!isSame) seen.since = now;
  seen.print = print;
  seen.missing = undefined;
  return print?.copying === undefined && seen.readAs !== print?.text;
}

function isDue(seen: Seen<unknown>, still: Still, isWhole: boolean): boolean {
  return seen.print === undefined ? seen.looks >= STEADY_LOOKS : still(seen, seen.print, isWhole);
}

async function hasCome(folder: string, seen: Seen<unknown>, still: Still): Promise<boolean> {
  if (seen.print === undefined) return isDue(seen, still, true);
  const { missing, isWhole } = await arrivalOf(folder);
  seen.missing = missing;
  return missing === undefined && isDue(seen, still, isWhole);
}

/** What is said of a folder that is not served, or not as it is now, because of a file that nobody seems to copy any more. */
function stalled({ print, looks, missing }: Seen<unknown>): string | null {
  // Who starts has not looked for so long, and may end for want of a model.
  const isOld = print !== undefined && Date.now() - print.changedAt >= STALLED_MS;
  if (looks < STALLED_LOOKS && !isOld) return null;
  if (print?.copying !== undefined) {
    const name = JSON.stringify(print.copying);
    return `is not read as long as ${name} is there, which looks like a file that is being copied: remove it if it is none`;
  }
  if (missing === undefined) return null;
  const { path, namedBy } = missing;
  return `is not read as long as ${JSON.stringify(path)} is missing, which ${namedBy} names: put it there, or take it out of ${namedBy}`;
}

async function read<T>(seen: Seen<T>, load: () => Promise<T>, broken: T, missing = broken): Promise<void> {
  seen.readAs = seen.print?.text;
  seen.problem = null;
  if (seen.print === undefined) {
    seen.value = missing;
    return;
  }
  try {
    seen.value = await load();
  } catch (error) {
    seen.value = broken;
    seen.problem = reasonOf(error);
  }
}

function isSame(a: ModelProblem, b: ModelProblem): boolean {
  return a.folder === b.folder && a.message === b.message;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
