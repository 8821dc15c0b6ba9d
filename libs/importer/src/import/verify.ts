/** Tries an imported model: every variant loads, answers with numbers, and lower precision stays close to fp32. */
import type { Joining } from '@shoal/contracts';
import {
  createModelFace,
  findJoining,
  loadRunner,
  type Model,
  type SessionPort,
  type SessionTensor,
  sessionModel,
} from '@shoal/models';
import type { Runtime } from '@shoal/onnxruntime';
import { invalid } from '../invalid.js';
import { TRIAL_TEXTS } from './texts.js';

/** Mean cosine below which nothing of the model is left: a broken conversion, not a loss of precision. */
const BROKEN = 0.5;

/** What the graph put out, as one vector per trial text. */
export type Answers = readonly Float32Array[];

/** What a variant showed when it was tried. */
export interface Tried {
  /** Null for `tensors`, of whose inputs none is known. */
  readonly answers: Answers | null;
  /** Null for what generates text. */
  readonly joining: Joining | null;
}

/** `cacheDir` is where workers of this machine look for verdicts. @throws ShoalError as tryModel does */
export async function tryVariant(runtime: Runtime, model: Model, cacheDir: string | undefined): Promise<Tried> {
  const session = await runtime.createSession(sessionModel(model.variants[model.variant]!));
  try {
    const answers = await answersOf(session, model, TRIAL_TEXTS);
    return { answers, joining: await joiningOf(runtime, model, session, cacheDir) };
  } finally {
    await session.release();
  }
}

/** As a worker on this machine's processor finds it. */
export async function joiningOf(
  { version: runtimeVersion }: Runtime,
  model: Model,
  session: SessionPort,
  cacheDir?: string,
): Promise<Joining> {
  const { joining } = await findJoining(model, session, {
    ...(cacheDir !== undefined && { cacheDir }),
    runtimeVersion,
    device: 'cpu',
    deviceOptions: {},
    now: () => performance.now(),
  });
  return joining;
}

/**
 * Runs the whole path of a job on each trial text. Null for `tensors`, whose inputs cannot be made up: such a graph is loaded,
 * and that is all.
 *
 * @throws ShoalError where the session does not load, or its answers are not finite
 */
export async function tryModel(runtime: Runtime, model: Model, texts = TRIAL_TEXTS): Promise<Answers | null> {
  const session = await runtime.createSession(sessionModel(model.variants[model.variant]!));
  try {
    return await answersOf(session, model, texts);
  } finally {
    await session.release();
  }
}

async function answersOf(session: SessionPort, model: Model, texts: readonly string[]): Promise<Answers | null> {
  if (model.task === 'tensors') return null;
  const answers: Float32Array[] = [];
  const watched: SessionPort = {
    async run(feeds, options) {
      const outputs = await session.run(feeds, options);
      answers.push(floatsOf(Object.values(outputs)));
      return outputs;
    },
    release: () => session.release(),
  };
  const runner = loadRunner(model, watched);
  const face = await createModelFace(model);
  for (const text of texts) {
    const input = model.task === 'rerank' ? { query: texts[0], documents: [text] } : text;
    const { items, parameters } = await face.encode({ input, parameters: { truncate: true } });
    const [output] = await runner.run(items.map((item) => ({ item, parameters })));
    if (output instanceof Error) throw invalid(`${model.variant} does not run: ${output.message}`, output);
  }
  return answers;
}

/** A copy: the memory is used again by the next run. */
function floatsOf(outputs: readonly SessionTensor[]): Float32Array {
  const first = outputs.find(({ data }) => data instanceof Float32Array);
  return Float32Array.from((first?.data as Float32Array | undefined) ?? []);
}

/** A sentence for people. @throws ShoalError `model_invalid` where the variant has nothing in common with fp32 */
export function compare(variant: string, answers: Answers, reference: Answers): string {
  const { mean, least } = likeness(answers, reference);
  if (mean < BROKEN) {
    throw invalid(`${variant} does not answer as fp32 does (mean cosine ${mean.toFixed(3)}): take another --dtype`);
  }
  return `cosine to fp32 ${mean.toFixed(5)} on average, ${least.toFixed(5)} at least, over ${reference.length} texts`;
}

/** The cosine of a single score would mean nothing, so all scores of such a model make one vector. */
export function likeness(answers: Answers, reference: Answers): { readonly mean: number; readonly least: number } {
  const single = reference.every(({ length }) => length === 1);
  const join = (rows: Answers) => [Float32Array.from(rows.flatMap((row) => [...row]))];
  const [own, others] = single ? [join(answers), join(reference)] : [answers, reference];
  const cosines = own.map((row, n) => cosine(row, others[n] ?? new Float32Array()));
  return { mean: cosines.reduce((sum, value) => sum + value, 0) / cosines.length, least: Math.min(...cosines) };
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (const [n, x] of a.entries()) {
    const y = b[n] ?? 0;
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa === 0 || bb === 0 ? Number(aa === bb) : dot / Math.sqrt(aa * bb);
}
