/** The last step before a version is there: every variant of the draft answers, and as fp32 does. */

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Joining } from '@shoal/contracts';
import { sizeOf } from '@shoal/contracts';
import { createModelFace, type Model, openRepository, tryTemplate } from '@shoal/models';
import type { Runtime } from '@shoal/onnxruntime';
import { invalid } from '../invalid.js';
import type { Plan, PlannedVariant } from './plan.js';
import { runBuild } from './run-thread.js';
import { tryGenerator } from './try-generator.js';
import { compare, type Tried, tryModel, tryVariant } from './verify.js';

/** Of weights in 32 bits that are made for comparing only: more would take minutes, and memory that serving does not. */
const MAX_REFERENCE_BYTES = 4 * 2 ** 30;

export interface Trial {
  readonly runtime: Runtime;
  /** Where workers keep what they measured of models; undefined: nowhere. */
  readonly cacheDir?: string;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** `draft` is a repository of the one version; `folder` what it is made from. @throws ShoalError where it does not serve */
export async function tryVariants(draft: string, folder: string, plan: Plan, trial: Trial): Promise<void> {
  const { models, problems } = await openRepository(draft);
  const [problem] = problems;
  if (problem !== undefined) throw invalid(problem.message);
  const model = models[0]!;
  await createModelFace(model);
  if (model.generator !== null) await tryTemplate(model.generator);
  const tried = async (path: string, variant: string): Promise<Tried> => {
    trial.signal.throwIfAborted();
    if (model.generator !== null) return { answers: await tryGenerator(trial.runtime, path), joining: null };
    return await tryVariant(trial.runtime, variantOf(model, variant, path), trial.cacheDir);
  };
  const pathOf = ({ file }: PlannedVariant) => join(model.folder, 'onnx', file);
  const say = (variant: string, found: string, { joining }: Tried) => {
    trial.say(`  ${variant}: ${found}`);
    if (joining !== null) trial.say(`    ${describe(joining)}`);
  };

  const whole = plan.variants.find(({ name }) => name === 'fp32');
  const first = whole && (await tried(pathOf(whole), 'fp32'));
  let reference = first?.answers;
  if (first) say('fp32', first.answers === null ? 'loads' : 'answers', first);
  for (const variant of plan.variants.filter((candidate) => candidate !== whole)) {
    const own = await tried(pathOf(variant), variant.name);
    const { answers } = own;
    const compared = reference !== undefined || plan.floatBytes <= MAX_REFERENCE_BYTES;
    if (reference === undefined && compared && variant.exported === undefined) {
      const path = await buildReference(draft, folder, plan, trial.signal);
      const { runtime } = trial;
      reference = model.generator
        ? await tryGenerator(runtime, path)
        : await tryModel(runtime, variantOf(model, 'fp32', path));
      await rm(path);
    }
    const alike = answers && reference ? compare(variant.name, answers, reference) : answers ? 'answers' : 'loads';
    say(variant.name, compared ? alike : `${alike}; not compared with fp32, of ${sizeOf(plan.floatBytes)}`, own);
  }
  trial.say(`  serves ${model.task}`);
  const prompts = promptsOf(model);
  if (prompts !== null) trial.say(`    ${prompts}`);
}

/** Null where texts stay as they are. */
function promptsOf({ text }: Model): string | null {
  const names = [...(text?.prompts.texts ?? [])].flatMap(([name, prompt]) => (prompt === '' ? [] : [name]));
  if (names.length === 0) return null;
  const standard = text?.prompts.standard ?? 'none';
  return `prompts, for prompt_name: ${names.join(', ')}; where none is named: ${standard}`;
}

const JOINED: Readonly<Record<Joining['rows'], string>> = {
  'any-length': 'jobs of different callers share its passes',
  'same-shape': 'jobs of different callers share its passes where their inputs have the same shape',
  alone: 'every item has a pass of its own',
};

function describe({ rows, reason }: Joining): string {
  return reason === null ? JOINED[rows] : `${JOINED[rows]}: ${reason}`;
}

function variantOf(model: Model, variant: string, path: string): Model {
  return { ...model, variant, variants: { ...model.variants, [variant]: path } };
}

/** The same checkpoint in fp32, for comparing only. */
async function buildReference(
  draft: string,
  folder: string,
  { weightsFile }: Plan,
  signal: AbortSignal,
): Promise<string> {
  await mkdir(join(draft, '.reference'), { recursive: true });
  const path = join(draft, '.reference', 'model.onnx');
  await runBuild({ folder, weightsFile, exported: undefined, dtype: 'fp32', path }, signal);
  return path;
}
