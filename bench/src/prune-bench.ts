/** What pruning costs: layers of a classifier, and a part of a language model's feed-forward, that one also with training behind it. */
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { importFolder } from '@shoal/importer';
import { type Model, openRepository } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import {
  type Candidate,
  type Context,
  compare,
  type Data,
  layers,
  type Method,
  neurons,
  neuronsHealed,
  readData,
  type Subject,
} from '@shoal/optimizer';
import { seededRandom, shuffled } from '@shoal/training';
import { dialogues } from './dialogues.js';
import { languageModel } from './language-model.js';
import { type FigureRow, figureRow, type Section } from './report.js';
import { ROOT } from './root.js';
import { synsets } from './students/wordnet.js';

const FOLDER = join(ROOT, '.shoal/bench/prune');

/** Dialogues that the language model is calibrated and trained with. */
const DIALOGUES = 20_000;

interface PruneOptions {
  /** Below 1 the speeds are left out, and the language model is trained with fewer texts. */
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
      if (found.loss.metric === 'perplexity') {
        const back = await compare(other, subject.original, subject.data.verdict, { speeds: false }, context);
        const ratios = [-back.loss.bound, found.loss.mean, found.loss.bound].map(Math.exp);
        figures.push(figureRow('P', `${what}: perplexity, original = 1 (90 %)`, ratios, '×'));
      }
      for (const { batch, tokens, ratio, low, high } of found.speeds) {
        const beside = `${what}: speed, ${batch} × ${tokens} tokens, original = 1 (95 %)`;
        figures.push(figureRow('P', beside, [low, ratio, high], '×'));
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
  const taught = { ...lm, data: withDialogues(lm.data, Math.round(DIALOGUES * scale)) };
  await measure(taught, neurons, await planned(neurons, taught));
  await measure(taught, neuronsHealed, await planned(neuronsHealed, taught));
  return {
    ratios: [],
    figures,
    notes: [
      `pruning: trained is what says so; the language model is ${basename(checkpoint)}, with ${taught.data.calibration.items.length} dialogues of WordNet to learn from`,
    ],
  };
}

async function planned(method: Method, subject: Subject): Promise<readonly Candidate[]> {
  const plan = await method.plan(subject);
  if (typeof plan === 'string') throw new Error(plan);
  return plan;
}

/** The parts that choose and judge stay. */
function withDialogues(data: Data, count: number): Data {
  const lines = readFileSync(data.file, 'utf8').trim().split('\n');
  const held = lines.map((line) => (JSON.parse(line) as { text: string }).text);
  const random = seededRandom(2);
  const texts = shuffled(dialogues(synsets(), held, random), random).slice(0, count);
  const items = texts.map((text) => ({ kind: 'text', text }) as const);
  return { ...data, calibration: { kind: 'text', items, labelled: false } };
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
