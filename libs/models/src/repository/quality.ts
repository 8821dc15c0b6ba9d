/**
 * `quality.json` in a version's folder: what its variants were measured to lose. Only what was measured of the files that lie
 * there is taken. What cannot be is told, and hides no model: without it a variant is served as one that nobody has measured.
 */
import { stat } from 'node:fs/promises';
import { QualityJson, ShoalError } from '@shoal/contracts';
import type { Model } from '../types.js';
import { readJson } from './files.js';

export const QUALITY_FILE = 'quality.json';

/** A version as it is served. */
export interface ReadVersion {
  /** One for each variant, the default one first. */
  readonly models: readonly Model[];
  /** What of its `quality.json` is not used, and why. */
  readonly ignored: readonly string[];
}

/** The variants of a version in `folder` with what was measured of them; whatever they had of that before is forgotten. */
export async function withQuality(folder: string, models: readonly Model[]): Promise<ReadVersion> {
  const unmeasured = models.map((model) => ({ ...model, original: models[0]!.variant, quality: null }));
  const file = await readQuality(folder);
  if (file === null) return { models: unmeasured, ignored: [] };
  if (typeof file === 'string') return { models: unmeasured, ignored: [file] };
  const { original } = file;
  if (!models.some(({ variant }) => variant === original)) {
    return { models: unmeasured, ignored: [`${QUALITY_FILE}: original: there is no variant ${original}`] };
  }
  const entries = new Map(Object.entries(file.variants));
  const ignored: string[] = [];
  for (const [variant, { bytes }] of entries) {
    const fault = await faultOf(models, variant, bytes);
    if (fault === null) continue;
    entries.delete(variant);
    ignored.push(`${QUALITY_FILE}: variants.${variant}: ${fault}`);
  }
  const measured = models.map((model) => ({
    ...model,
    original,
    quality: model.variant === original ? null : (entries.get(model.variant) ?? null),
  }));
  return { models: measured, ignored };
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

/** Why what was measured of a variant is not used; null: it is. */
async function faultOf(models: readonly Model[], variant: string, bytes: number): Promise<string | null> {
  const model = models.find((own) => own.variant === variant);
  if (model === undefined) return 'there is no such variant';
  const found = await graphBytes(model.variants[variant]!);
  if (found === bytes) return null;
  return `was measured of a graph of ${bytes} bytes, and this one has ${found}: measure it again (shoal evaluate)`;
}

/** Of an ONNX file and its `.data`, as `bytes` counts. */
async function graphBytes(path: string): Promise<number> {
  const files = await Promise.all([path, `${path}.data`].map((file) => stat(file).catch(() => null)));
  return files.reduce((sum, file) => sum + (file?.size ?? 0), 0);
}
