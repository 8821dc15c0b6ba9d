/** `shoal evaluate`: a model or variant beside another one, and whether it may take its place. */
import { basename } from 'node:path';
import { formatSelector, type GraphIdentity, ShoalError } from '@shoal/contracts';
import { graphFiles, identityOf, type Model, machineOf, openModel, stampOf, wordsOf } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import {
  type Comparison,
  compare,
  cpuTime,
  type Data,
  judge,
  probeQuality,
  readData,
  readQuality,
  type Verdict,
  writeQuality,
} from '@shoal/optimizer';
import { UserError } from '@shoal/tools/user-error';
import { comparisonLines } from './evaluate-table.js';
import type { EvaluateOptions } from './program.js';
import { ProgressDisplay, terminal } from './progress.js';
import { Refused } from './refused.js';
import { findModel } from './run-model-folder.js';
import { Interrupted, untilSignal } from './signals.js';

interface Graphs {
  readonly original: GraphIdentity;
  readonly candidate: GraphIdentity;
}

interface Evaluated {
  readonly original: Model;
  readonly candidate: Model;
  /** Of both, where they were read for it: what is kept is of them. */
  readonly graphs: Graphs | undefined;
  readonly data: Data;
  readonly comparison: Comparison;
  readonly verdict: Verdict;
  /** For people. */
  readonly machine: string;
}

/**
 * Tells on `write` what was measured; how far it is goes to stderr. `now` is in ms.
 *
 * @throws UserError that says what is wrong with models or file; Refused where the candidate does not pass
 */
export async function evaluateModel(
  options: EvaluateOptions,
  models: string,
  write = (line: string) => console.log(line),
  now = () => performance.now(),
): Promise<void> {
  try {
    await untilSignal(
      (signal) => new Interrupted(signal, 'stopped; nothing was written.'),
      async (signal) => {
        const evaluated = await evaluate(options, models, now, signal);
        const { verdict } = evaluated;
        if (options.json) write(JSON.stringify(jsonOf(evaluated), null, 2));
        else for (const line of comparisonLines(evaluated)) write(line);
        if (verdict.kind !== 'passed') throw new Refused(`refused: ${verdict.reason}.`);
        if (evaluated.graphs) await keep(evaluated, evaluated.graphs, options.maxLoss);
      },
    );
  } catch (error) {
    throw error instanceof ShoalError ? new UserError(error.message) : error;
  }
}

async function evaluate(
  { original: asked, candidate: other, data: file, maxLoss, metric, keep: keeps }: EvaluateOptions,
  models: string,
  now: () => number,
  signal: AbortSignal,
): Promise<Evaluated> {
  const [original, candidate] = [await modelOf(asked, models), await modelOf(other, models)];
  if (keeps) await refuseKeeping(original, candidate);
  const graphs = keeps
    ? { original: await identityOf(pathOf(original), signal), candidate: await identityOf(pathOf(candidate), signal) }
    : undefined;
  const data = readData(file, original);
  const display = new ProgressDisplay({ ...terminal(), print: (line) => console.error(line) });
  const runtime = await openRuntime();
  const comparison = await compare(
    original,
    candidate,
    data.verdict,
    { metric },
    {
      ...{ runtime, now, cpu: cpuTime, random: Math.random, signal },
      say: display.say,
      onProgress: (share) =>
        display.show({
          name: share < 1 ? 'both read the texts' : 'both are timed',
          done: share,
          total: 1,
          unit: 'share',
        }),
    },
  );
  display.next();
  if (graphs && !((await isStill(original, graphs.original)) && (await isStill(candidate, graphs.candidate)))) {
    throw new UserError('a graph was replaced while it was measured: nothing is kept, measure again.');
  }
  const machine = wordsOf(await machineOf(runtime));
  return { original, candidate, graphs, data, comparison, verdict: judge(comparison, { loss: maxLoss }), machine };
}

async function modelOf(asked: string, models: string): Promise<Model> {
  const { folder, version, variant } = await findModel(asked, undefined, models);
  const found = await openModel(folder, { version, variant });
  const model = variant === undefined ? found[0] : found.find((one) => one.variant === variant);
  if (model !== undefined) return model;
  const name = found[0] === undefined ? folder : `${found[0].name}@${found[0].version}`;
  throw new UserError(`${name} has no variant ${variant}, only ${found.map((one) => one.variant).join(', ')}.`);
}

/** Before anything is measured in vain. */
async function refuseKeeping(original: Model, candidate: Model): Promise<void> {
  if (original.folder !== candidate.folder || original.variant === candidate.variant) {
    throw new UserError(
      '--keep notes what a variant loses beside another of its own version: name two such, or leave it out.',
    );
  }
  await probeQuality(original.folder);
  const before = await readQuality(original.folder);
  if (before === undefined) return;
  if (before.variants[candidate.variant]?.verdict === 'forced') {
    throw new UserError(
      `${candidate.variant} was kept by force, which quality.json says for ever: "shoal optimize --force" makes it anew.`,
    );
  }
  if (before.original === original.variant) return;
  throw new UserError(
    `quality.json in ${original.folder} holds what variants lose beside ${before.original}: name that first, or leave out --keep.`,
  );
}

function pathOf({ variants, variant }: Model): string {
  return variants[variant]!;
}

async function isStill(model: Model, { stamp }: GraphIdentity): Promise<boolean> {
  try {
    return (await stampOf(graphFiles(pathOf(model)))) === stamp;
  } catch {
    return false;
  }
}

async function keep(
  { original, candidate, data, comparison, machine }: Evaluated,
  graphs: Graphs,
  allowed: number,
): Promise<void> {
  const { loss, speeds, escalated } = comparison;
  const quality = {
    graph: graphs.candidate,
    beside: graphs.original,
    verdict: 'passed' as const,
    method: candidate.variant,
    loss: { ...loss, allowed },
    ...(escalated !== undefined && { escalated }),
    speeds: [...speeds],
    data: { file: basename(data.file), sha256: data.sha256 },
    machine,
    measured: new Date().toISOString(),
  };
  await writeQuality(candidate.folder, candidate.variant, quality, original.variant);
}

function jsonOf({ original, candidate, data, comparison, verdict }: Evaluated): object {
  return {
    original: formatSelector(original),
    candidate: formatSelector(candidate),
    data: { file: basename(data.file), sha256: data.sha256 },
    ...comparison,
    verdict,
  };
}
