/** The last step before a version is there: every variant of the draft answers, and as fp32 does. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Model, openRepository } from '@shoal/models';
import type { Runtime } from '@shoal/onnxruntime';
import { invalid } from '../invalid.js';
import type { Plan, PlannedVariant } from './plan.js';
import { runBuild } from './run-thread.js';
import { tryGenerator } from './try-generator.js';
import { type Answers, compare, tryModel } from './verify.js';

export interface Trial {
  readonly runtime: Runtime;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** `draft` is a repository of the one version; `folder` what it is made from. @throws ShoalError where it does not serve */
export async function tryVariants(draft: string, folder: string, plan: Plan, trial: Trial): Promise<void> {
  const { models, problems, generators } = await openRepository(draft);
  const [problem] = problems;
  if (problem !== undefined) throw invalid(problem.message);
  const [generator] = generators;
  const [model] = models;
  const answersOf = async (path: string, variant: string): Promise<Answers | null> => {
    trial.signal.throwIfAborted();
    if (generator !== undefined) return await tryGenerator(trial.runtime, path);
    return await tryModel(trial.runtime, variantOf(model!, variant, path));
  };
  const pathOf = ({ file }: PlannedVariant) =>
    join(generator === undefined ? model!.folder : join(draft, generator.folder), 'onnx', file);

  const whole = plan.variants.find(({ name }) => name === 'fp32');
  let reference = whole && (await answersOf(pathOf(whole), 'fp32'));
  if (whole) trial.say(`  fp32: ${reference === null ? 'loads' : 'answers'}`);
  for (const variant of plan.variants.filter((candidate) => candidate !== whole)) {
    const answers = await answersOf(pathOf(variant), variant.name);
    if (reference === undefined && variant.exported === undefined) {
      const path = await buildReference(draft, folder, trial.signal);
      reference = await answersOf(path, 'fp32');
      await rm(path);
    }
    const alike = answers && reference ? compare(variant.name, answers, reference) : answers ? 'answers' : 'loads';
    trial.say(`  ${variant.name}: ${alike}`);
  }
  if (model !== undefined) trial.say(`  serves ${model.task}`);
}

function variantOf(model: Model, variant: string, path: string): Model {
  return { ...model, variant, variants: { ...model.variants, [variant]: path } };
}

/** The same checkpoint in fp32, for comparing only. */
async function buildReference(draft: string, folder: string, signal: AbortSignal): Promise<string> {
  await mkdir(join(draft, '.reference'), { recursive: true });
  const path = join(draft, '.reference', 'model.onnx');
  await runBuild({ folder, exported: undefined, dtype: 'fp32', path }, signal);
  return path;
}
