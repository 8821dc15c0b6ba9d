/**
 * The trials of a model, a line of JSON for each that has ended, and for each verdict what part of the error it was given. A line is
 * on the disk before anything rests on it, and lines are never changed: a run that is ended at any byte loses the trial that it was at,
 * and no other.
 *
 * Each run writes into a file of its own, which begins as a copy and takes the place of the one before: a run that was stopped and
 * goes on when another one has taken over writes to a file that is not there any more, whatever it was about to do.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { parseJsonFile } from '@shoal/contracts';
import { type Allotment, Entry, type TrialEntry } from './entries.js';

const NEWLINE = 0x0a;

export class Journal {
  readonly #file: number;
  readonly #check: () => void;
  readonly #entries = new Map<string, Entry>();
  #bytes: number;
  /** Lines that are none of this version of Shoal: their trials are done anew. */
  readonly unread: number;

  /**
   * Makes the file, and its folder, where they are not there. What a run that was ended has left of a line is left out.
   *
   * @param check throws where this process may write no more; asked before each line
   */
  constructor(path: string, check: () => void = () => undefined) {
    mkdirSync(dirname(path), { recursive: true });
    this.#check = check;
    const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
    this.#bytes = bytes.lastIndexOf(NEWLINE) + 1;
    check();
    this.#file = replace(path, bytes.subarray(0, this.#bytes));
    let unread = 0;
    for (let from = 0; from < this.#bytes; ) {
      const to = bytes.indexOf(NEWLINE, from);
      const entry = entryIn(bytes.subarray(from, to));
      if (entry === undefined) unread += 1;
      else this.#entries.set(entry.key, entry);
      from = to + 1;
    }
    this.unread = unread;
  }

  /** How the trial of this key ended; the latest time, where it was done again because what it made was gone. */
  find(key: string): TrialEntry | undefined {
    const entry = this.#entries.get(key);
    return entry?.kind === 'allotted' ? undefined : entry;
  }

  /** What was allotted to verdicts, in the order of the lines. */
  get allotments(): readonly Allotment[] {
    return [...this.#entries.values()].filter((entry) => entry.kind === 'allotted');
  }

  /** Returns once it is on the disk. @throws as `check`; what writing throws, as ENOSPC: the journal is then as before */
  append(entry: Entry): void {
    const line = Buffer.from(`${JSON.stringify(Entry.parse(entry))}\n`);
    this.#check();
    try {
      writeWhole(this.#file, line);
    } catch (error) {
      this.#cut();
      throw error;
    }
    this.#bytes += line.length;
    this.#entries.set(entry.key, entry);
  }

  close(): void {
    closeSync(this.#file);
  }

  #cut(): void {
    ftruncateSync(this.#file, this.#bytes);
    fsyncSync(this.#file);
  }
}

/** A new file with these bytes in the place of that at `path`, open for more. @throws what writing throws: the one before is there then */
function replace(path: string, bytes: Uint8Array): number {
  const draft = `${path}.tmp`;
  rmSync(draft, { force: true });
  const file = openSync(draft, 'ax');
  try {
    writeWhole(file, bytes);
    renameSync(draft, path);
    // Before any line rests on it.
    const folder = openSync(dirname(path), 'r');
    fsyncSync(folder);
    closeSync(folder);
    return file;
  } catch (error) {
    closeSync(file);
    rmSync(draft, { force: true });
    throw error;
  }
}

/** Returns once they are on the disk. */
function writeWhole(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
  fsyncSync(file);
}

function entryIn(line: Uint8Array): Entry | undefined {
  try {
    return Entry.parse(parseJsonFile(line));
  } catch {
    return undefined;
  }
}
