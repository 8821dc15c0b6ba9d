/** A subject's graph in other precisions: built in a folder that goes when the work is done, and opened as sessions. */
import { mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildFrom, openServed, type Precision } from '@shoal/importer';
import { sessionModel } from '@shoal/models';
import type { Runtime, Session } from '@shoal/onnxruntime';
import type { Context, Subject } from '../types.js';

/** Writes the graph of a checkpoint, in a precision, to a path. */
export type Build = (precision: Precision, path: string) => void;

export class Workshop {
  readonly #build: Build;
  readonly #runtime: Runtime;
  readonly #folder: string;
  #count = 0;

  /** `beside` is a path in whose folder there is room. */
  constructor(build: Build, runtime: Runtime, beside: string) {
    this.#build = build;
    this.#runtime = runtime;
    this.#folder = mkdtempSync(join(dirname(beside), '.quantise-'));
  }

  /** Writes the graph that is wanted in the end. */
  write(precision: Precision, path: string): void {
    this.#build(precision, path);
  }

  /** What `work` makes of a session of the graph, with all cores for one text: nothing else is served meanwhile. */
  async use<T>(precision: Precision, work: (session: Session) => Promise<T>): Promise<T> {
    const path = join(this.#folder, `${this.#count++}.onnx`);
    this.#build(precision, path);
    const session = await this.#runtime.createSession(sessionModel(path), { intraOpThreads: 0 });
    try {
      return await work(session);
    } finally {
      await session.release();
      for (const file of [path, `${path}.data`]) rmSync(file, { force: true });
    }
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** @throws ShoalError `model_invalid` where the served graph cannot be read back to a checkpoint */
export function buildOf({ original, path }: Subject): Build {
  const { folder } = original;
  const { config, checkpoint } = openServed(folder, path);
  return (precision, to) => buildFrom({ folder, config, checkpoint, precision, path: to });
}

/** Does `work` in a workshop for what will be written to `path`. */
export async function inWorkshop<T>(
  subject: Subject,
  path: string,
  { runtime }: Context,
  work: (workshop: Workshop) => Promise<T>,
): Promise<T> {
  const workshop = new Workshop(buildOf(subject), runtime, path);
  try {
    return await work(workshop);
  } finally {
    workshop.close();
  }
}
