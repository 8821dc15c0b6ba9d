/**
 * Trains a model that something was left out of, on what the original answers: from the tensors that are left to a graph that did best on
 * the texts which choose. It goes on where it was after any end, and comes out the same to the bit then.
 */
import { availableParallelism } from 'node:os';
import { ShoalError } from '@shoal/contracts';
import { namesOf, openServed, type Served, type WeightMap, weightMap } from '@shoal/importer';
import { loadModel, type Model, saveModel } from '@shoal/onnx';
import { Trainer, textProbes, train, trainingGraph } from '@shoal/training';
import { part } from '../distil/progress.js';
import { choiceLoss } from '../prune/choice.js';
import { withTrials, write } from '../prune/subject.js';
import type { Context, Made, Subject } from '../types.js';
import { Kept } from './keep.js';
import { isStoredInHalves, trainedCheckpoint } from './numbers.js';
import { bestOf, isSettled } from './settle.js';
import type { Evaluation, Healed, HealOrder, Lesson, Schedule } from './types.js';

/** Evaluations beside that of step 0, evenly over all steps. */
export const EVALUATIONS = 10;
/** Texts that an evaluation is by: a step is chosen by differences of a point. Those of decoders take longer. */
const MOST = { encoder: 1000, decoder: 300 };
/** Seconds between two states that are saved, where evaluations are further apart. */
const SAVE_SECONDS = 60;
/** Steps over which the rate rises, of all. */
const WARMUP = 1 / 20;

/** How far the whole has come when training begins. */
const [BEGUN, TAUGHT] = [0.15, 0.3];

/**
 * Trains what `begin` gives, evaluates it about ten times on the choice part, ends early where it gets no better, and writes to `path` (and
 * `path`.data, where it is large) what did best, which may be what it began with. All that is needed to go on is in `context.state`; without
 * one it is beside `path`, and gone at the end.
 *
 * @throws ShoalError as `begin`, `lesson`, trainingGraph, Trainer and compare do; the signal's reason
 */
export async function heal(order: HealOrder, subject: Subject, path: string, context: Context): Promise<Healed> {
  const { state } = context;
  if (state !== undefined) return await healIn(new Kept(state), order, subject, path, context);
  return await withTrials(path, (folder) => healIn(new Kept(folder), order, subject, path, context));
}

async function healIn(kept: Kept, order: HealOrder, subject: Subject, path: string, context: Context): Promise<Healed> {
  const begun = kept.made ?? (await beginIn(kept, order, subject, { ...context, onProgress: part(context, 0, BEGUN) }));
  const lesson = await order.lesson({ ...context, onProgress: part(context, BEGUN, TAUGHT) });
  try {
    const pupil = pupilOf(openServed(subject.original.folder, kept.graph(0)), lesson);
    const trainer = await openTrainer(pupil, lesson, order.schedule, context);
    try {
      const found = await new Course({ kept, pupil, lesson, trainer, subject, context }).run();
      saveModel(loadModel(kept.graph(found.best.step)), path);
      return { ...found, made: madeOf(begun, order.schedule, lesson, found) };
    } finally {
      await trainer.close();
    }
  } finally {
    await lesson.close?.();
  }
}

/** As it is written and read again, so that a run that goes on begins from the same numbers. */
async function beginIn(kept: Kept, { begin }: HealOrder, subject: Subject, context: Context): Promise<Made> {
  const { parts, made } = await begin(context);
  write(subject, parts, kept.graph(0));
  kept.begin(made);
  return made;
}

/** The model that is trained. */
interface Pupil {
  readonly config: unknown;
  /** The graph that training is by, its weights as they were before. */
  readonly graph: Model;
  readonly map: WeightMap;
}

function pupilOf({ config, checkpoint, graph, weights }: Served, { graphOf }: Lesson): Pupil {
  if (graphOf === undefined) return { config, graph, map: weights };
  const map = weightMap((own) => graphOf({ config, checkpoint: own }), namesOf(checkpoint));
  return { config, graph: graphOf({ config, checkpoint }), map };
}

async function openTrainer(
  { graph, map }: Pupil,
  { behind = (same) => same, probes = textProbes, losses, examples }: Lesson,
  { steps, batch, accumulate, rate }: Schedule,
  { runtime }: Context,
): Promise<Trainer> {
  const whole = behind(graph);
  const trainable = [...map.constants.keys()];
  const training = await trainingGraph(runtime, whole, { trainable, probes: probes(whole), losses });
  const options = { steps, learningRate: rate, examples, batchSize: batch, accumulate, seed: 1 };
  const warmup = Math.floor(steps * WARMUP);
  return await Trainer.open(runtime, training, { ...options, warmup }, { intraOpThreads: availableParallelism() });
}

interface CourseOptions {
  readonly kept: Kept;
  readonly pupil: Pupil;
  readonly lesson: Lesson;
  readonly trainer: Trainer;
  readonly subject: Subject;
  readonly context: Context;
}

type Found = Omit<Healed, 'made'>;

/** Steps and evaluations in turns. */
class Course {
  readonly #options: CourseOptions;
  readonly #halves: boolean;
  #saved: number;

  constructor(options: CourseOptions) {
    this.#options = options;
    this.#halves = isStoredInHalves(options.subject.path);
    this.#saved = options.context.now();
  }

  async run(): Promise<Found> {
    const { kept, trainer, lesson, context } = this.#options;
    const { steps } = trainer.settings;
    const every = Math.ceil(steps / EVALUATIONS);
    this.#resume();
    const evaluations = kept.evaluations(trainer.steps);
    if (evaluations.length === 0) {
      evaluations.push(await this.#measure(0));
      kept.note(evaluations);
    }
    const onProgress = part(context, TAUGHT, 1);
    let ms = 0;
    while (trainer.steps < steps && !isSettled(evaluations)) {
      const until = Math.min(steps, every * (Math.floor(trainer.steps / every) + 1));
      const started = context.now();
      let last = Number.NaN;
      await train(trainer, {
        ...{ batch: lesson.batch, until, signal: context.signal },
        onStep: ({ step, loss }) => {
          last = loss;
          onProgress(step / steps);
          // The state of a step that is evaluated is saved behind that.
          if (step < until && context.now() - this.#saved > 1000 * SAVE_SECONDS) this.#save();
        },
      });
      ms += context.now() - started;
      const loss = await this.#evaluate(evaluations);
      context.say(`step ${until} of ${steps}: ${last.toFixed(4)} off what is taught, ${loss.toFixed(4)} lost`);
    }
    return { evaluations, best: bestOf(evaluations), steps: trainer.steps, seconds: ms / 1000 };
  }

  /** State, and graphs that may be the best, in such an order that any state that is there has the evaluations before it. */
  async #evaluate(evaluations: Evaluation[]): Promise<number> {
    const { kept, pupil, subject, trainer } = this.#options;
    const { steps: step, weights } = trainer;
    const checkpoint = trainedCheckpoint(pupil.map, pupil.graph, weights, this.#halves);
    write(subject, { config: pupil.config, checkpoint }, kept.graph(step));
    const found = await this.#measure(step);
    evaluations.push(found);
    kept.note(evaluations);
    this.#save();
    kept.keepGraphs(0, bestOf(evaluations).step);
    return found.loss;
  }

  async #measure(step: number): Promise<Evaluation> {
    const { kept, subject, context } = this.#options;
    const most = subject.original.task === 'text-generation' ? MOST.decoder : MOST.encoder;
    const { mean, error } = await choiceLoss(subject, kept.graph(step), context, most);
    return { step, loss: mean, error };
  }

  #save(): void {
    const { kept, trainer, context } = this.#options;
    trainer.save(kept.state);
    this.#saved = context.now();
  }

  #resume(): void {
    const { kept, trainer, context } = this.#options;
    if (!kept.hasState) return;
    try {
      trainer.load(kept.state);
      context.say(`training goes on at step ${trainer.steps}`);
    } catch (error) {
      if (!(error instanceof ShoalError)) throw error;
      context.say(`training begins anew: ${error.message}`);
    }
  }
}

function madeOf(
  begun: Made,
  { steps: all, batch, accumulate, rate }: Schedule,
  { examples, notes = [] }: Lesson,
  { evaluations, best, steps }: Found,
): Made {
  const [before] = evaluations;
  const early = steps < all ? `, of ${all} that were planned: the others made it no better` : '';
  return {
    method: `${begun.method}, ${best.step === 0 ? 'not trained' : `trained ${best.step} steps`}`,
    notes: [
      ...begun.notes,
      ...notes,
      `${steps} steps of ${batch * accumulate} out of ${examples} examples, at a rate of ${rate}${early}`,
      `lost on the texts that choose: ${before!.loss.toFixed(4)} before training, ${best.loss.toFixed(4)} after ${best.step} steps`,
    ],
  };
}
