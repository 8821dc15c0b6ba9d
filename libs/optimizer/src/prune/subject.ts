/** The model that is pruned, as its checkpoint. */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { buildFrom, openServed, precisionOf, type Served } from '@shoal/importer';
import { withoutFloats } from '../methods/without-floats.js';
import type { Context, Subject } from '../types.js';
import { type Anatomy, anatomyOf } from './anatomy.js';
import type { Parts } from './edits.js';
import type { Observed } from './observe.js';
import { encode } from './texts.js';

/** Tokens that layers and neurons are observed over: several for each number that is fitted. */
const OBSERVED_TOKENS = 20_000;

export interface Opened {
  readonly served: Served;
  readonly anatomy: Anatomy;
}

/** Looking through a large graph takes seconds, and several methods look. */
let last: { readonly path: string; readonly opened: Opened | string } | undefined;

/** A text says why it cannot be pruned. */
export function open({ original, path }: Subject): Opened | string {
  const { folder, task } = original;
  if (task === 'tensors') return 'nothing is known of what a model of tensors is made of';
  if (last?.path === path) return last.opened;
  const opened = openNew(folder, path, withoutFloats(original));
  last = { path, opened };
  return opened;
}

/** `without`: why a graph that is none of Shoal's in floats cannot be one. */
function openNew(folder: string, path: string, without: string | undefined): Opened | string {
  try {
    const served = openServed(folder, path);
    const anatomy = anatomyOf(served.checkpoint);
    return typeof anatomy === 'string' ? anatomy : { served, anatomy };
  } catch (error) {
    if (error instanceof ShoalError) return without ?? error.message;
    throw error;
  }
}

/** @throws ShoalError `invalid_request` saying why it cannot be pruned */
export function openOrThrow(subject: Subject): Opened {
  const opened = open(subject);
  if (typeof opened !== 'string') return opened;
  throw new ShoalError('invalid_request', `${subject.original.name} cannot be pruned: ${opened}`);
}

/** The model over its calibration texts. @throws ShoalError where they cannot be read */
export async function observedOf(served: Served, subject: Subject, context: Context): Promise<Observed> {
  const { original, data } = subject;
  const encoded = await encode(original, data.calibration, OBSERVED_TOKENS);
  const empty = encoded.kind === 'rows' ? encoded.rows.length === 0 : encoded.texts.length === 0;
  if (empty) throw new ShoalError('invalid_request', `${data.file} has no texts to calibrate with`);
  return { served, model: original, encoded, context };
}

/** Writes the graph of a checkpoint. @throws ShoalError as buildFrom */
export function write({ original: { folder } }: Subject, { config, checkpoint }: Parts, path: string): void {
  buildFrom({ folder, config, checkpoint, precision: precisionOf('fp32', 'encoder'), path });
}

/** A folder beside `path` for graphs that are tried; gone when `use` is done. */
export async function withTrials<T>(path: string, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(dirname(path), '.trials-'));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
