/**
 * `quality.json` in a version's folder: what its variants were measured to lose. Only what was measured of the graphs that lie
 * there, the variant's and the original's, is taken. What cannot be is told, and hides no model: without it a variant is served as
 * one that nobody has measured.
 */
import { type GraphIdentity, QualityJson, ShoalError, type VariantQuality } from '@shoal/contracts';
import type { Model } from '../types.js';
import { readJson } from './files.js';
import type { GraphIdentities } from './graph-identity.js';

export const QUALITY_FILE = 'quality.json';
/** What the names of the files begin with that keep two from writing it at once. */
export const QUALITY_LOCK = 'quality.lock-';
/** What a person may do about figures that are of another graph. */
const MEASURE = 'measure again (shoal evaluate --keep)';

/** A version as it is served. */
export interface ReadVersion {
  /** One for each variant, the default one first. */
  readonly models: readonly Model[];
  /** What of its `quality.json` is not used, and why. */
  readonly ignored: readonly string[];
  /** Some of its graphs are being read, or could not be: what was measured of them may count later. */
  readonly isPending: boolean;
}

/** The variants of a version in `folder` with what was measured of them; whatever they had of that before is forgotten. */
export async function withQuality(
  folder: string,
  models: readonly Model[],
  identities: GraphIdentities,
): Promise<ReadVersion> {
  const unmeasured = models.map((model) => ({ ...model, original: models[0]!.variant, quality: null }));
  const file = await readQuality(folder);
  const without = (...ignored: string[]) => ({ models: unmeasured, ignored, isPending: false });
  if (file === null) return without();
  if (typeof file === 'string') return without(file);
  const { original } = file;
  if (!models.some(({ variant }) => variant === original)) {
    return without(`${QUALITY_FILE}: original: there is no variant ${original}`);
  }
  const { entries, ignored, isPending } = await sorted(file, models[0]!, identities);
  const measured = models.map((model) => ({
    ...model,
    original,
    quality: model.variant === original ? null : (entries.get(model.variant) ?? null),
  }));
  return { models: measured, ignored, isPending };
}

/** What still holds, and why the rest does not: one line for each variant, and one for all that an original was taken from. */
async function sorted(
  { original, variants: measured }: QualityJson,
  { variants }: Model,
  identities: GraphIdentities,
): Promise<Omit<ReadVersion, 'models'> & { readonly entries: ReadonlyMap<string, VariantQuality> }> {
  const entries = new Map<string, VariantQuality>();
  const ignored: string[] = [];
  const orphaned: string[] = [];
  let faults = 0;
  /** With its stamp as it lies here, so that nobody has to read it again. */
  const same = async (path: string, graph: GraphIdentity, field: string, other: () => void) => {
    const compared = await identities.compare(path, graph);
    if (compared === 'other') other();
    else if ('fault' in compared) {
      faults++;
      const line = `${field}: its graph cannot be read (${compared.fault}); it is tried again`;
      if (compared.fault !== null && !ignored.includes(line)) ignored.push(line);
    } else return compared;
    return undefined;
  };
  for (const [variant, quality] of Object.entries(measured)) {
    const field = `variants.${variant}`;
    const path = Object.hasOwn(variants, variant) ? variants[variant] : undefined;
    if (path === undefined) {
      ignored.push(`${field}: there is no such variant`);
      continue;
    }
    const replaced = () => void ignored.push(`${field}: its graph was replaced after it was measured: ${MEASURE}`);
    const graph = await same(path, quality.graph, field, replaced);
    if (graph === undefined) continue;
    const besides = () => void orphaned.push(variant);
    const beside = await same(variants[original]!, quality.beside, 'original', besides);
    if (beside !== undefined) entries.set(variant, { ...quality, graph, beside });
  }
  if (orphaned.length > 0) {
    ignored.push(
      `original: ${original} was replaced after ${orphaned.join(', ')} had been measured beside it: ${MEASURE}`,
    );
  }
  return { entries, ignored: ignored.map((fault) => `${QUALITY_FILE}: ${fault}`), isPending: faults > 0 };
}

/** Null where there is none; a text says why it cannot be read. */
async function readQuality(folder: string): Promise<QualityJson | string | null> {
  try {
    return await readJson(folder, QUALITY_FILE, QualityJson);
  } catch (error) {
    return error instanceof ShoalError
      ? error.message
      : `${QUALITY_FILE} cannot be read (${(error as NodeJS.ErrnoException).code ?? (error as Error).message})`;
  }
}
