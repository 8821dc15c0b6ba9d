/**
 * The repository as it changes. It is looked at again and again: network file systems tell nobody of changes that others
 * make. A look reads names, sizes and times only; a folder is read when it has stood still for a while, so that one that is
 * being copied is not taken for whole.
 */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Model } from '../types.js';
import { type Aliases, NO_ALIASES, readAliases } from './aliases.js';
import { ALIASES_FILE, findRoot, type Repository, readVersion } from './repository.js';
import { findVersionFolders, type ModelProblem, reasonOf, type VersionFolder } from './version-folders.js';

/** Between two looks, and at least so many times what a look takes. */
const LOOK_MS = 500;
const REST = 10;
/** Looks after which what has not changed counts as whole, and what is missing as gone. */
const STEADY_LOOKS = 2;
/** Most files of a folder that are looked at, and folders within folders. */
const MAX_FILES = 5000;
const MAX_DEPTH = 4;
/** Files that copying programs leave until they are done: of rsync (`.name.Xa3f9Q`), downloads, Shoal's own. */
const UNDER_WAY = /(^\..+\.[A-Za-z0-9]{6}|\.(part|partial|tmp|incomplete|crdownload|download))$/;

export interface WatchOptions {
  /** Told of each problem once, until it has another message. */
  readonly onProblem: (problem: ModelProblem) => void;
  /** The repository cannot be looked at: everything stays as it was seen last. */
  readonly onTrouble: (error: Error) => void;
}

export interface RepositoryWatch {
  /** As it was seen last. A Model is the same object as long as its folder does not change. */
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
  /** Names, sizes and times of its files; undefined: it is not there. */
  print: string | undefined;
  /** Looks in a row that have seen `print`. */
  looks: number;
  /** What `print` was when it was read; null: never. */
  readAs: string | undefined | null;
  value: T;
  problem: string | null;
}

/** Reads all at once; once it is started, whatever changes from then on. @throws ShoalError `model_invalid` where `root` cannot be read */
export async function watchRepository(root: string, options: WatchOptions): Promise<RepositoryWatch> {
  const watch = new Watch(await findRoot(root), options);
  await watch.look(1);
  return watch;
}

class Watch implements RepositoryWatch {
  readonly #root: string;
  readonly #options: WatchOptions;
  readonly #folders = new Map<string, Seen<readonly Model[]> & { readonly folder: VersionFolder }>();
  readonly #aliases: Seen<Aliases> = unseen(NO_ALIASES);
  readonly #stop = new AbortController();
  #current: Repository = { models: [], aliases: NO_ALIASES, problems: [] };
  #running: Promise<void> = Promise.resolve();

  constructor(root: string, options: WatchOptions) {
    this.#root = root;
    this.#options = options;
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
    let took = 0;
    let told = this.#current;
    while (!signal.aborted) {
      await pause(Math.max(LOOK_MS, REST * took), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const from = performance.now();
      try {
        await this.look(STEADY_LOOKS);
        took = performance.now() - from;
        if (this.#current === told) continue;
        await onChange(this.#current);
        told = this.#current;
      } catch (error) {
        this.#options.onTrouble(error as Error);
      }
    }
  }

  /** Reads what has been the same for `steady` looks, this one included, and was read otherwise before. */
  async look(steady: number): Promise<void> {
    // One that is away for a while has not lost its models.
    await lstat(this.#root);
    const { folders, problems: found } = await findVersionFolders(this.#root);
    for (const folder of folders) {
      if (!this.#folders.has(folder.path)) this.#folders.set(folder.path, { ...unseen<readonly Model[]>([]), folder });
    }
    const there = new Set(folders.map(({ path }) => path));
    // One that cannot be listed is not gone.
    const unsure = new Set(found.map((problem) => problem.folder));
    let changed = false;
    for (const [path, seen] of this.#folders) {
      if (unsure.has(seen.folder.name) && !there.has(path)) continue;
      const print = there.has(path) ? await printOf(join(this.#root, path)) : undefined;
      if (!note(seen, print, steady)) continue;
      await read(seen, () => readVersion(this.#root, seen.folder), []);
      if (print === undefined) this.#folders.delete(path);
      changed = true;
    }
    if (note(this.#aliases, await printOf(join(this.#root, ALIASES_FILE)), steady)) {
      // What can be read no more leaves the names as they were.
      await read(this.#aliases, () => readAliases(this.#root), this.#aliases.value, NO_ALIASES);
      changed = true;
    }
    const problems = [...found, ...this.#problems()];
    const news = problems.filter((problem) => !this.#current.problems.some((known) => isSame(known, problem)));
    for (const problem of news) this.#options.onProblem(problem);
    if (changed || news.length > 0 || problems.length < this.#current.problems.length) {
      this.#current = this.#snapshot(problems);
    }
  }

  #snapshot(problems: readonly ModelProblem[]): Repository {
    const byName = [...this.#folders.values()].sort(
      ({ folder: a }, { folder: b }) => compare(a.name, b.name) || Number(b.version) - Number(a.version),
    );
    return { models: byName.flatMap(({ value }) => value), aliases: this.#aliases.value, problems };
  }

  #problems(): ModelProblem[] {
    const folders = [...this.#folders].map(([folder, { problem }]) => ({ folder, message: problem }));
    return [...folders, { folder: ALIASES_FILE, message: this.#aliases.problem }].flatMap(({ folder, message }) =>
      message === null ? [] : [{ folder, message }],
    );
  }
}

function unseen<T>(value: T): Seen<T> {
  return { print: undefined, looks: 0, readAs: null, value, problem: null };
}

/** True where it is to be read now. */
function note(seen: Seen<unknown>, print: string | undefined | null, steady: number): boolean {
  // What cannot be looked at now is as it was.
  if (print === null) return false;
  seen.looks = seen.looks > 0 && seen.print === print ? seen.looks + 1 : 1;
  seen.print = print;
  return seen.looks >= steady && seen.readAs !== print && !print?.startsWith(COPYING);
}

async function read<T>(seen: Seen<T>, load: () => Promise<T>, broken: T, missing = broken): Promise<void> {
  seen.readAs = seen.print;
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

/** Begins the line of a file that is under way, and what is made of all lines where there is one. */
const COPYING = 'copying';

/** Undefined where there is nothing, null where it cannot be looked at. */
async function printOf(path: string): Promise<string | undefined | null> {
  const lines: string[] = [];
  try {
    await addLines(lines, path, '', 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && lines.length === 0 ? undefined : null;
  }
  const copying = lines.some((line) => line.startsWith(COPYING));
  return `${copying ? COPYING : ''}${lines.join('\n')}`;
}

async function addLines(lines: string[], path: string, name: string, depth: number): Promise<void> {
  const stat = await lstat(path);
  if (!stat.isDirectory()) {
    lines.push(`${UNDER_WAY.test(name.split('/').at(-1)!) ? COPYING : ''} ${name} ${stat.size} ${stat.mtimeMs}`);
    return;
  }
  lines.push(` ${name}/`);
  if (depth === MAX_DEPTH) return;
  const names = await readdir(path);
  for (const entry of names.sort()) {
    if (lines.length >= MAX_FILES) return;
    await addLines(lines, join(path, entry), `${name}/${entry}`, depth + 1);
  }
}

function isSame(a: ModelProblem, b: ModelProblem): boolean {
  return a.folder === b.folder && a.message === b.message;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
