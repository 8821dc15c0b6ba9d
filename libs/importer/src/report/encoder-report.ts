/** Measures the variants of a model that is served as jobs, through the path that jobs take. */
import type { TextClassificationOutput } from '@shoal/contracts';
import { createModelFace, loadRunner, type Model, type ModelFace, type ModelRunner, sessionModel } from '@shoal/models';
import { type Answers, joiningOf, likeness, tryModel } from '../import/verify.js';
import { share, speeds } from './columns.js';
import { type Examples, textsOf } from './examples.js';
import { recallAt } from './recall.js';
import { runRequest } from './run-request.js';
import { ratesSideBySide } from './side-by-side.js';
import type { Measured, ReportContext } from './types.js';

/** Texts that run together, neighbours by length. */
const BATCH = 16;
/** Texts whose raw answers are compared one by one, and that speed is measured with. */
const SAMPLE = 200;
/** Of one request. */
const MAX_ITEMS = 1000;

/** One row per variant, in their order. `models` are the variants of one version. */
export async function measureEncoder(
  models: readonly Model[],
  examples: Examples,
  { runtime, now, signal }: ReportContext,
): Promise<readonly Measured[]> {
  const sample = textsOf(examples).slice(0, SAMPLE);
  const runners: ModelRunner[] = [];
  const rows: { quality: Record<string, string>; answers: Answers | null; run: () => Promise<number> }[] = [];
  try {
    for (const model of models) {
      signal.throwIfAborted();
      const face = await createModelFace(model);
      const session = await runtime.createSession(sessionModel(model.variants[model.variant]!));
      const runner = loadRunner(model, session, await joiningOf(runtime, model, session));
      runners.push(runner);
      rows.push({
        quality: await qualityOf(face, runner, examples),
        answers: await tryModel(runtime, model, sample),
        run: async () => {
          await runAll(face, runner, sample, {});
          return sample.length;
        },
      });
    }
    const rates = await ratesSideBySide(
      rows.map(({ run }) => run),
      now,
      signal,
    );
    const reference = rows[0]!.answers;
    return rows.map(({ quality, answers }, n) => ({
      variant: models[n]!.variant,
      columns: {
        ...quality,
        ...(answers &&
          reference && { [`cosine to ${models[0]!.variant}`]: likeness(answers, reference).mean.toFixed(5) }),
        ...speeds('texts/s', rates, n),
      },
    }));
  } finally {
    await Promise.all(runners.map((runner) => runner.close()));
  }
}

async function qualityOf(face: ModelFace, runner: ModelRunner, examples: Examples): Promise<Record<string, string>> {
  const { task } = runner.model;
  if (task === 'text-classification' && examples.kind === 'labelled') {
    const texts = examples.items.map(({ text }) => text);
    const outputs = await runAll<TextClassificationOutput>(face, runner, texts, { top_k: 1 });
    const right = examples.items.filter(({ label }, n) => outputs[n]![0]!.label === label).length;
    return { accuracy: share(right / texts.length) };
  }
  if (task === 'feature-extraction' && examples.kind === 'pairs') {
    const vectorsOf = (texts: readonly string[]) => runAll<readonly number[]>(face, runner, texts, {});
    const queries = await vectorsOf(examples.items.map(({ query }) => query));
    const documents = await vectorsOf(examples.items.map(({ document }) => document));
    return { 'recall@10': share(recallAt(10, queries, documents)) };
  }
  return {};
}

/** One output per text, as callers see them. */
async function runAll<T>(face: ModelFace, runner: ModelRunner, texts: readonly string[], parameters: object) {
  const outputs: T[] = [];
  const rerank = runner.model.task === 'rerank';
  for (let from = 0; from < texts.length; from += MAX_ITEMS) {
    const page = texts.slice(from, from + MAX_ITEMS);
    const input = rerank ? page.map((text) => ({ query: texts[0], documents: [text] })) : page;
    const request = { input, parameters: { ...parameters, truncate: true } };
    const { encoded, outputs: made } = await runRequest(face, runner, request, BATCH);
    const shown = face.present(
      encoded,
      made.map((output) => ({ output })),
    );
    outputs.push(...(shown.output as T[]));
  }
  return outputs;
}
