/** A subject's graph in other precisions: written, or opened as a session for as long as the work with it takes. */
import { dirname } from 'node:path';
import { buildFrom, openServed, type Precision } from '@shoal/importer';
import type { Runtime, Session } from '@shoal/onnxruntime';
import { withGraph } from '../graph-session.js';
import type { Context, Subject } from '../types.js';

/** Writes the graph of a checkpoint, in a precision, to a path. */
export type Build = (precision: Precision, path: string) => void;

export class Workshop {
  /** For the graph that is wanted in the end. */
  readonly write: Build;
  readonly #runtime: Runtime;
  readonly #folder: string;

  /** `path` is that graph's: beside it there is room for others. @throws ShoalError as buildOf */
  constructor(subject: Subject, path: string, { runtime }: Pick<Context, 'runtime'>) {
    this.write = buildOf(subject);
    this.#runtime = runtime;
    this.#folder = dirname(path);
  }

  /** What `work` makes of a session of the graph. @throws as withGraph */
  async use<T>(precision: Precision, work: (session: Session) => Promise<T>): Promise<T> {
    return await withGraph(this.#runtime, this.#folder, (path) => this.write(precision, path), work);
  }
}

/** @throws ShoalError `model_invalid` where the served graph cannot be read back to a checkpoint */
export function buildOf({ original, path }: Subject): Build {
  const { folder } = original;
  const { config, checkpoint } = openServed(folder, path);
  return (precision, to) => buildFrom({ folder, config, checkpoint, precision, path: to });
}
