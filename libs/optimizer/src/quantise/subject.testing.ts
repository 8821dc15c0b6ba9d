/** Models of the repository as subjects of methods, with examples in three parts. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { importFolder } from '@shoal/importer';
import { type Model, openRepository } from '@shoal/models';
import type { Runtime } from '@shoal/onnxruntime';
import { seededRandom } from '@shoal/training';
import type { Context, Data, Example, Subject } from '../types.js';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const FIXTURES = join(ROOT, 'test/fixtures');

export const fixture = (path: string) => join(FIXTURES, path);

export function contextOf(runtime: Runtime, signal?: Context['signal']): Context {
  return {
    ...{
      runtime,
      signal: signal ?? new AbortController().signal,
      random: seededRandom(1),
      now: () => performance.now(),
    },
    say: () => undefined,
    onProgress: () => undefined,
  };
}

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

/** Lines of a file of the fixtures: every third for each part. */
export function subjectOf(original: Model, file: string): Subject {
  const bytes = readFileSync(fixture(file));
  const items = bytes.toString('utf8').trim().split('\n').map(exampleOf);
  const part = (n: number) => {
    const own = items.filter((_, at) => at % 3 === n);
    return { kind: own[0]!.kind, items: own, labelled: false };
  };
  const data: Data = {
    ...{ file, sha256: createHash('sha256').update(bytes).digest('hex') },
    ...{ calibration: part(0), choice: part(1), verdict: part(2) },
  };
  return { original, path: original.variants[original.variant]!, data };
}

function exampleOf(line: string): Example {
  const fields = JSON.parse(line) as { text?: string; query?: string; document?: string };
  const { text, query = '', document = '' } = fields;
  return text === undefined ? { kind: 'pair', query, document } : { kind: 'text', text };
}
