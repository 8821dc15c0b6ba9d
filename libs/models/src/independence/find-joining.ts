/** The verdict on one model: forbidden, kept from an earlier proof, or proved now. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Joining } from '@shoal/contracts';
import { loadModel } from '@shoal/onnx';
import { hashGraph } from '../repository/graph-identity.js';
import type { SessionPort } from '../session.js';
import type { Model } from '../types.js';
import { findMixing } from './mixing.js';
import { prove } from './prove.js';

/** Of the kept file: a change of what is proved makes earlier verdicts void. */
const FORMAT = 2;

export interface JoiningOptions {
  /** Where verdicts are kept; undefined: nowhere. */
  readonly cacheDir?: string;
  /** What a verdict holds for beside the graph. */
  readonly runtimeVersion: string;
  readonly device: string;
  readonly deviceOptions: Readonly<Record<string, string>>;
  /** Milliseconds that only go by. */
  readonly now: () => number;
}

export interface FoundJoining {
  readonly joining: Joining;
  /** Forward passes of the proof; 0 where there was none to make. */
  readonly passes: number;
}

/**
 * Whether rows of different callers may be joined for `model`, which `session` has loaded. A proof takes two seconds or so,
 * and a minute at most.
 */
export async function findJoining(model: Model, session: SessionPort, options: JoiningOptions): Promise<FoundJoining> {
  const refused = refusal(model);
  if (refused !== null) return { joining: { rows: 'alone', reason: refused }, passes: 0 };
  const { cacheDir, now, device } = options;
  const file = cacheDir === undefined ? null : join(cacheDir, `joining-${await keyOf(model, options)}.json`);
  const kept = file === null ? null : await readKept(file);
  if (kept !== null) return { joining: kept, passes: 0 };
  const { joining, final, passes } = await prove(model, session, { now, exact: device === 'cpu' });
  if (final && file !== null) await keep(file, joining);
  return { joining, passes };
}

/** What needs no proof. */
function refusal(model: Model): string | null {
  if (model.shoal.joining === false) return 'shoal.json forbids it';
  if (!model.batchable) return 'its inputs and outputs have no common first dimension that the caller chooses';
  const operator = findMixing(loadModel(model.variants[model.variant]!).graph);
  return operator === null ? null : `its operator ${operator} combines rows`;
}

/** By the graph with its weights, and by how it is served. */
async function keyOf(model: Model, options: JoiningOptions): Promise<string> {
  const hash = await hashGraph(model.variants[model.variant]!);
  const { runtimeVersion, device, deviceOptions } = options;
  hash.update(JSON.stringify([FORMAT, model.task, model.text, runtimeVersion, device, deviceOptions]));
  return hash.digest('hex').slice(0, 32);
}

async function readKept(file: string): Promise<Joining | null> {
  try {
    return Joining.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return null;
  }
}

/** Under its name only when it is whole: workers that start together share the folder. */
async function keep(file: string, joining: Joining): Promise<void> {
  const draft = `${file}.${process.pid}`;
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(draft, JSON.stringify(joining));
    await rename(draft, file);
  } catch {
    // A read-only file system only costs the next start the proof.
  }
}
