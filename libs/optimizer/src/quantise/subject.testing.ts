/** Models of the repository as subjects of methods, with examples in three parts. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { importFolder } from '@shoal/importer';
import { type Model, openRepository } from '@shoal/models';
import type { Runtime } from '@shoal/onnxruntime';
import { inThirds } from '../testing/examples.js';
import type { Example, Subject } from '../types.js';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const FIXTURES = join(ROOT, 'test/fixtures');

export const fixture = (path: string) => join(FIXTURES, path);

/** A model that the repository bundles. */
export async function bundled(name: string): Promise<Model> {
  const { models } = await openRepository(join(ROOT, 'models'));
  return models.find((model) => model.name === name)!;
}

/** A folder of models with one that was imported from a checkpoint of the fixtures, in fp32. */
export async function imported(runtime: Runtime, name: string): Promise<{ readonly model: Model; remove(): void }> {
  const to = mkdtempSync(join(tmpdir(), 'shoal-quantise-'));
  const request = { folder: fixture(`checkpoints/${name}`), version: 1, dtypes: ['fp32'], to, force: false };
  await importFolder(request, { runtime, say: () => undefined, signal: new AbortController().signal });
  const { models } = await openRepository(to);
  return { model: models[0]!, remove: () => rmSync(to, { recursive: true }) };
}

/** With lines of a file of the fixtures. */
export function subjectOf(original: Model, file: string): Subject {
  const items = readFileSync(fixture(file), 'utf8').trim().split('\n').map(exampleOf);
  return { original, path: original.variants[original.variant]!, data: inThirds(items) };
}

function exampleOf(line: string): Example {
  const fields = JSON.parse(line) as { text?: string; query?: string; document?: string };
  const { text, query = '', document = '' } = fields;
  return text === undefined ? { kind: 'pair', query, document } : { kind: 'text', text };
}
