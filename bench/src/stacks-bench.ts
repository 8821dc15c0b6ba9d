/** Every method alone and the stacks of those that help, as `shoal optimize` finds them within a time limit. */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { importFolder } from '@shoal/importer';
import { openRuntime } from '@shoal/onnxruntime';
import { durationOf, type OptimizeContext, optimize, TABLE } from '@shoal/optimizer';
import { languageModel } from './language-model.js';
import type { Section } from './report.js';
import { ROOT } from './root.js';

const FOLDER = join(ROOT, '.shoal/bench/stacks');
const BUNDLED = ['wordnet-topic', 'wordnet-embed'];
/** For each model, in seconds. */
const LIMIT = 2400;
const ALLOWED = 0.02;

interface StacksOptions {
  /** Of the time limit. */
  readonly scale: number;
  readonly say: (line: string) => void;
}

export async function stacksBench({ scale, say }: StacksOptions): Promise<Section> {
  rmSync(FOLDER, { recursive: true, force: true });
  const models = join(FOLDER, 'models');
  mkdirSync(models, { recursive: true });
  const { signal } = new AbortController();
  const context: OptimizeContext = {
    ...{ runtime: await openRuntime(), signal, table: TABLE, say: (line) => say(`    ${line}`) },
    now: () => performance.now(),
    date: () => new Date(),
    onProgress: () => undefined,
  };
  for (const name of BUNDLED) cpSync(join(ROOT, 'models', name), join(models, name), { recursive: true });
  const checkpoint = languageModel();
  const name = basename(checkpoint);
  await importFolder(
    { folder: checkpoint, name, version: 1, dtypes: ['fp32'], to: models, force: true },
    { runtime: context.runtime, signal, say: () => undefined },
  );
  const measured = [
    ...BUNDLED.map((model) => ({ model, data: join(ROOT, 'test/fixtures', model, 'eval.jsonl') })),
    { model: name, data: join(checkpoint, 'eval.jsonl') },
  ];
  const seconds = LIMIT * scale;
  const tables: string[] = [];
  for (const { model, data } of measured) {
    say(`  ${model}`);
    const { lines } = await optimize(
      { ...{ models, model, data, seconds, to: FOLDER }, allowed: { loss: ALLOWED }, methods: [], force: false },
      context,
    );
    tables.push(`${model}:`, '', ...lines, '');
  }
  const notes = [`stacks: ${durationOf(seconds)} for each model, a loss of ${100 * ALLOWED} % is allowed`];
  return { ratios: [], figures: [], tables, notes };
}
