/**
 * The trials of a model, a line of JSON for each that has ended, and for each verdict what part of the error it was given. A line is on the disk before anything rests on it, and lines are
 * never changed: a run that is ended at any byte loses the trial that it was at, and no other.
 */
import { closeSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseJsonFile } from '@shoal/contracts';
import { type Allotment, Entry, type TrialEntry } from './entries.js';

const NEWLINE = 0x0a;

export class Journal {
  readonly #file: number;
  readonly #entries = new Map<string, Entry>();
  #bytes: number;
  /** Lines that are none of this version of Shoal: their trials are done anew. */
  readonly unread: number;

  /** Makes the file, and its folder, where they are not there. What a run that was ended has left of a line is cut off. */
  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true });
    this.#file = openSync(path, 'a+');
    const bytes = readFileSync(this.#file);
    this.#bytes = bytes.lastIndexOf(NEWLINE) + 1;
    if (this.#bytes < bytes.length) this.#cut();
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

  /** Returns once it is on the disk. @throws what writing throws, as ENOSPC; the journal is then as before */
  append(entry: Entry): void {
    const line = Buffer.from(`${JSON.stringify(Entry.parse(entry))}\n`);
    try {
      for (let done = 0; done < line.length; ) done += writeSync(this.#file, line, done);
      fsyncSync(this.#file);
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

function entryIn(line: Uint8Array): Entry | undefined {
  try {
    return Entry.parse(parseJsonFile(line));
  } catch {
    return undefined;
  }
}
