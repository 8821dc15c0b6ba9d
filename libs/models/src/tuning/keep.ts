/**
 * What `shoal tune` found for a model on this machine: a file in the folder that workers keep their measurements in, read when
 * they load the model. It counts for the same graph, processor, share of it and runtime.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJsonFile } from '@shoal/contracts';
import { z } from 'zod';
import { hashGraph } from '../repository/graph-identity.js';
import type { Model } from '../types.js';
import type { Machine } from './machine.js';
import { TunedSettings } from './settings.js';

/** Of the file: a change of what settings mean makes earlier ones void. */
const FORMAT = 1;
const MAX_BYTES = 64 * 1024;

const KeptTuning = z.strictObject({
  format: z.literal(FORMAT),
  /** That the file is named by: it is of another model or machine where the two differ. */
  key: z.string(),
  /** For people: which model, in which variant, and on what. */
  model: z.string().max(500),
  machine: z.string().max(500),
  measured: z.iso.datetime(),
  /** Empty: nothing was better than what a worker does by itself. */
  settings: TunedSettings,
  /** Time with these settings by that without them, and the interval of it; null where they are empty. */
  ratio: z.strictObject({ median: z.number(), low: z.number(), high: z.number() }).nullable(),
});
export type KeptTuning = Readonly<z.output<typeof KeptTuning>>;

export interface TuningPlace {
  /** The workers'. */
  readonly cacheDir: string;
  readonly machine: Machine;
}

export interface ReadTuning {
  /** Null: the model was not tuned on a machine of this kind. */
  readonly tuning: KeptTuning | null;
  /** Why a file that is there is left alone. */
  readonly note: string | null;
}

/** Nothing that is wrong with the file keeps a model from being loaded. @throws ShoalError where the model cannot be read */
export async function readTuning(model: Model, { cacheDir, machine }: TuningPlace): Promise<ReadTuning> {
  const start = `${prefixOf(machine)}-`;
  const names = await readdir(cacheDir).catch((): string[] => []);
  // A graph of gigabytes is read for its hash only where there may be a file for it.
  if (!names.some((name) => name.startsWith(start))) return { tuning: null, note: null };
  const key = await keyOf(model, machine);
  if (!names.includes(`${key}.json`)) return { tuning: null, note: null };
  const file = join(cacheDir, `${key}.json`);
  try {
    if ((await stat(file)).size > MAX_BYTES) throw new Error(`has more than ${MAX_BYTES / 1024} KiB`);
    const tuning = KeptTuning.parse(parseJsonFile(await readFile(file)));
    if (tuning.key !== key) throw new Error('is of another model or machine');
    return { tuning, note: null };
  } catch (error) {
    return { tuning: null, note: `${file} ${reasonOf(error as NodeJS.ErrnoException)}, and is left alone` };
  }
}

/** Replaces what was kept before; resolves to the file. Throws what the file system refuses. */
export async function keepTuning(
  model: Model,
  found: Pick<KeptTuning, 'settings' | 'ratio' | 'machine' | 'measured'>,
  { cacheDir, machine }: TuningPlace,
): Promise<string> {
  const key = await keyOf(model, machine);
  const { name, version, variant } = model;
  const tuning: KeptTuning = { format: FORMAT, key, model: `${name}/${version}/${variant}`, ...found };
  const file = join(cacheDir, `${key}.json`);
  const draft = `${file}.${process.pid}`;
  await mkdir(cacheDir, { recursive: true });
  try {
    // Under its name only when it is whole: a worker may look at any time.
    await writeFile(draft, `${JSON.stringify(tuning, null, 2)}\n`);
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  return file;
}

function reasonOf(error: NodeJS.ErrnoException): string {
  if (error instanceof z.ZodError) return 'is not what "shoal tune" keeps';
  return error.code === undefined ? error.message : `cannot be read (${error.code})`;
}

async function keyOf(model: Model, machine: Machine): Promise<string> {
  return `${prefixOf(machine)}-${(await hashGraph(model.variants[model.variant]!)).digest('hex').slice(0, 32)}`;
}

function prefixOf({ processor, cores, runtime }: Machine): string {
  const hash = createHash('sha256').update(JSON.stringify([FORMAT, processor, cores, runtime]));
  return `tuning-${hash.digest('hex').slice(0, 16)}`;
}
