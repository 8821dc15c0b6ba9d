/** What pruning costs before anything is trained: layers of a classifier, and a part of a language model's feed-forward. */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { importFolder } from '@shoal/importer';
import { type Model, openRepository } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import {
  type Candidate,
  type Context,
  compare,
  layers,
  type Method,
  neurons,
  readData,
  type Subject,
} from '@shoal/optimizer';
import { seededRandom } from '@shoal/training';
import { languageModel } from './language-model.js';
import { type FigureRow, figureRow, type Section } from './report.js';
import { ROOT } from './root.js';

const FOLDER = join(ROOT, '.shoal/bench/prune');

interface PruneOptions {
  /** Below 1 the speeds are left out. */
  readonly scale: number;
  readonly say: (line: string) => void;
}

export async function pruneBench({ scale, say }: PruneOptions): Promise<Section> {
  rmSync(join(FOLDER, 'models'), { recursive: true, force: true });
  mkdirSync(join(FOLDER, 'models'), { recursive: true });
  const context: Context = {
    runtime: await openRuntime(),
    now: () => performance.now(),
    random: seededRandom(1),
    signal: new AbortController().signal,
    say: (line) => say(`    ${line}`),
    onProgress: () => undefined,
  };
  const figures: FigureRow[] = [];
  const measure = async (subject: Subject, method: Method, candidates: readonly Candidate[]) => {
    for (const candidate of candidates) {
      const path = join(FOLDER, `${subject.original.name}-${candidate.variant}.onnx`);
      const started = performance.now();
      const made = await method.make(candidate, subject, path, context);
      const seconds = (performance.now() - started) / 1000;
      const what = `${subject.original.name}, ${made.method}`;
      const other: Model = {
        ...subject.original,
        variant: 'pruned',
        variants: { ...subject.original.variants, pruned: path },
      };
      const found = await compare(subject.original, other, subject.data.verdict, { speeds: scale >= 1 }, context);
      for (const [title, { original, candidate: value }] of Object.entries(found.figures)) {
        const beside = original === null ? '' : ` (original ${original.toFixed(4)})`;
        figures.push(figureRow('P', `${what}: ${title}${beside}`, [value], ''));
      }
      for (const { batch, tokens, ratio } of found.speeds) {
        figures.push(figureRow('P', `${what}: speed, ${batch} × ${tokens} tokens, original = 1`, [ratio], '×'));
      }
      figures.push(figureRow('P', `${what}: making it`, [seconds], 's'));
      say(
        `  ${what}: ${found.loss.metric} lost ${found.loss.mean.toFixed(4)} (at most ${found.loss.bound.toFixed(4)}), ${seconds.toFixed(1)} s`,
      );
    }
  };

  const topic = await subjectOf('wordnet-topic', join(ROOT, 'test/fixtures/wordnet-topic/eval.jsonl'), async (to) => {
    cpSync(join(ROOT, 'models/wordnet-topic'), join(to, 'wordnet-topic'), { recursive: true });
  });
  const keep = (kept: number) => ({
    method: 'layers',
    variant: `layers${kept}`,
    settings: { layers: kept },
    seconds: 0,
  });
  await measure(topic, layers, [keep(2), keep(1)]);
  await measure(topic, neurons, await planned(neurons, topic));

  const checkpoint = languageModel();
  const lm = await subjectOf('lm', join(checkpoint, 'eval.jsonl'), async (to) => {
    await importFolder(
      { folder: checkpoint, name: 'lm', version: 1, dtypes: ['fp32'], to, force: true },
      { runtime: context.runtime, signal: context.signal, say: () => undefined },
    );
  });
  await measure(lm, neurons, await planned(neurons, lm));
  return {
    ratios: [],
    figures,
    notes: [`pruning: nothing is trained after it; the language model is ${basename(checkpoint)}`],
  };
}

async function planned(method: Method, subject: Subject): Promise<readonly Candidate[]> {
  const plan = await method.plan(subject);
  if (typeof plan === 'string') throw new Error(plan);
  return plan;
}

/** `place` puts the model into a folder of models. */
async function subjectOf(name: string, file: string, place: (to: string) => Promise<void>): Promise<Subject> {
  const to = join(FOLDER, 'models', name);
  mkdirSync(to, { recursive: true });
  await place(to);
  const { models } = await openRepository(to);
  const original = models.find(({ variant }) => variant === 'fp32');
  if (original === undefined) throw new Error(`${to} has no model in fp32`);
  return { original, path: original.variants.fp32!, data: readData(file, original) };
}
