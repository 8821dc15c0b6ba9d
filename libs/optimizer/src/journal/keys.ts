/**
 * What a trial is known by: the SHA-256 of all that decides how it ends. Whatever is changed of it, contents of files, settings or
 * versions, makes another trial.
 */
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { graphFiles, hashGraph, isServedFile, type Model } from '@shoal/models';

export interface Versions {
  readonly shoal: string;
  readonly onnxruntime: string;
}

/** All workspaces have one version. */
export function shoalVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return String((manifest as { version?: unknown }).version);
}

/** In hex, of a value as JSON has it; in which order its fields stand does not count. */
export function keyOf(parts: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(ordered(parts)))
    .digest('hex');
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return fields.map(([name, field]) => [name, ordered(field)]);
}

export interface GraphPrint {
  /** Of the ONNX file and of the files that its weights are in, in hex; as a GraphIdentity has it. */
  readonly sha256: string;
  readonly bytes: number;
}

/** @throws ShoalError `model_invalid` where the file is no ONNX model; the signal's reason */
export async function printOfGraph(path: string, signal: AbortSignal): Promise<GraphPrint> {
  const sha256 = (await hashGraph(path, signal)).digest('hex');
  return { sha256, bytes: graphFiles(path).reduce((sum, file) => sum + statSync(file).size, 0) };
}

/** Of a version in one variant, with all that its answers depend on. */
export async function printOfModel(model: Model, path: string, signal: AbortSignal): Promise<string> {
  const graph = await printOfGraph(path, signal);
  const files: [string, string][] = [];
  for (const file of servedFiles(model.folder)) files.push([file, await hashOf(join(model.folder, file), signal)]);
  return keyOf({ graph: graph.sha256, files, shoal: settingsOf(model) });
}

/** What shoal.json says of all variants alike. */
export function settingsOf({ shoal, task }: Pick<Model, 'shoal' | 'task'>): Model['shoal'] {
  const { variants: _, default_variant: __, ...own } = shoal;
  return { ...own, task };
}

/** Files that a version is served by, beside its graphs; relative to its folder, sorted. */
export function servedFiles(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      if (!entry.isDirectory()) return [entry.name];
      return readdirSync(join(folder, entry.name)).map((name) => `${entry.name}/${name}`);
    })
    .filter(isServedFile)
    .sort();
}

async function hashOf(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(file, { signal })) hash.update(chunk as Buffer);
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
  return hash.digest('hex');
}
