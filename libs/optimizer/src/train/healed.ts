/** Methods that prune a model, and then train what is left by the original's answers: least squares does not bring all of it back. */

import { ShoalError } from '@shoal/contracts';
import { withoutFloats } from '../methods/without-floats.js';
import { heads, pruneHeads } from '../prune/heads.js';
import { pruneLayers, secondsOfLayers } from '../prune/layers.js';
import { neurons, pruneNeurons } from '../prune/neurons.js';
import { type Opened, open, openOrThrow } from '../prune/subject.js';
import type { Candidate, Context, Method, Stage, Subject } from '../types.js';
import { decoderLesson, LONGEST, wholeGraph } from './decoder-lesson.js';
import { encoderLesson } from './encoder-lesson.js';
import { heal } from './heal.js';
import { type Load, planSchedule, scheduleIn } from './schedule.js';
import { loadOf } from './student.js';
import { refusalOf } from './targets.js';
import type { Begun } from './types.js';

/** Of a method of pruning as many candidates are trained: those that keep least, since else there is little to be healed. */
const DEEPEST = 2;
/** Without training a decoder loses more than it gains behind an eighth of its layers. */
const KEPT_LAYERS = [3 / 4, 1 / 2];
/** What the values of a decoder's pass may take until the way back has read them, and how many of a token's states, neurons and logits those are. */
const PASS_BYTES = 2 ** 30;
const [KEPT_STATES, KEPT_NEURONS, KEPT_ROWS] = [20, 6, 6];

/** What goes before anything is trained. */
interface Pruning {
  readonly name: string;
  readonly stage: Stage;
  readonly description: string;
  readonly plan: Method['plan'];
  readonly begin: (candidate: Candidate, subject: Subject, path: string, context: Context) => Promise<Begun>;
}

export const neuronsHealed = healed({
  name: 'neurons',
  stage: 'width',
  description: 'leaves out neurons of the feed-forward parts',
  plan: deepest(neurons),
  async begin({ settings }, subject, _, context) {
    const kept = Number(settings.neurons);
    const { inner } = openOrThrow(subject).anatomy;
    const parts = await pruneNeurons(kept, subject, context);
    return { parts, made: { method: `${kept} of ${inner} neurons in each layer`, notes: [] } };
  },
});

export const headsHealed = healed({
  name: 'heads',
  stage: 'width',
  description: 'leaves out heads of attention',
  plan: deepest(heads),
  async begin({ settings }, subject, _, context) {
    const groups = Number(settings.groups);
    const { parts, attention } = await pruneHeads(groups, subject, context);
    const left = (attention.heads / attention.groups) * groups;
    return { parts, made: { method: `${left} of ${attention.heads} heads in each layer`, notes: [] } };
  },
});

export const layersHealed = healed({
  name: 'layers',
  stage: 'depth',
  description: 'leaves out layers of language models',
  async plan(subject) {
    if (subject.original.task !== 'text-generation') return 'student does that for models that generate no text';
    const opened = open(subject);
    if (typeof opened === 'string') return opened;
    const { layers: all, fixed } = opened.anatomy;
    const counts = [...new Set(KEPT_LAYERS.map((share) => Math.ceil(share * all)))];
    const possible = counts.filter((kept) => kept < all && kept >= Math.max(1, fixed.size));
    if (possible.length === 0) return `it has no layer that could go: ${all} in all`;
    return possible.map((kept) => {
      const seconds = secondsOfLayers(kept, opened);
      return { method: 'layers', variant: `layers${kept}`, settings: { layers: kept }, seconds };
    });
  },
  begin: ({ settings }, subject, path, context) => pruneLayers(Number(settings.layers), subject, path, context),
});

function healed({ name: pruning, stage, description, plan, begin }: Pruning): Method {
  const name = `${pruning}-healed`;
  return {
    ...{ name, stage },
    description: `${description}, and trains what is left by the model's own answers`,

    async plan(subject, limits) {
      const opened = trainable(subject);
      if (typeof opened === 'string') return opened;
      const offered = await plan(subject, limits);
      if (typeof offered === 'string') return offered;
      return offered.map(({ variant, settings, seconds }): Candidate => {
        const load = loadOfPruned(subject, opened, Number(settings.layers ?? opened.anatomy.layers));
        const planned = planSchedule(load, limits);
        return {
          ...{ method: name, variant: `${variant}-healed`, settings: { ...settings, ...planned.schedule } },
          seconds: seconds + planned.seconds,
        };
      });
    },

    async make(candidate, subject, path, context) {
      const lesson = subject.original.task === 'text-generation' ? decoderLesson : encoderLesson;
      const order = {
        begin: (own: Context) => begin(candidate, subject, path, own),
        lesson: (own: Context) => lesson(subject, own),
        schedule: scheduleIn(candidate),
      };
      return (await heal(order, subject, path, context)).made;
    },
  };
}

/** As if no neurons or heads were gone. A language model is taught batch by batch, and its head multiplies each token too. */
function loadOfPruned(subject: Subject, opened: Opened, layers: number): Load {
  const load = loadOf(subject, opened, layers);
  const { generator } = subject.original;
  if (generator === null) return load;
  const { width, inner } = opened.anatomy;
  const { vocabulary } = generator;
  const head = width * vocabulary;
  const kept = layers * (KEPT_STATES * width + KEPT_NEURONS * inner) + KEPT_ROWS * vocabulary;
  return {
    ...{ ...load, tokens: Math.min(LONGEST, load.tokens), beside: true, passTokens: PASS_BYTES / (4 * kept) },
    ...{ products: load.products + head, teacherProducts: load.teacherProducts + head },
  };
}

/** A text says why it cannot be trained. */
function trainable(subject: Subject): Opened | string {
  const { original } = subject;
  // Steps of training are smaller than what rounded weights can tell apart.
  const without = withoutFloats(original);
  if (without !== undefined) return without;
  const opened = open(subject);
  if (typeof opened === 'string') return opened;
  if (original.task !== 'text-generation') return refusalOf(original) ?? opened;
  try {
    wholeGraph(subject, opened.served);
    return opened;
  } catch (error) {
    if (error instanceof ShoalError) return `it cannot be trained: ${error.message}`;
    throw error;
  }
}

/** Those of a method that keep least, the most promising first. */
function deepest({ plan }: Method): Pruning['plan'] {
  return async (...args) => {
    const offered = await plan(...args);
    if (typeof offered === 'string') return offered;
    const sizes = offered.map(sizeOf).sort((a, b) => a - b);
    return offered.filter((candidate) => sizeOf(candidate) <= (sizes[DEEPEST - 1] ?? Number.POSITIVE_INFINITY));
  };
}

/** What is kept, which is all that their settings say. */
function sizeOf({ settings }: Candidate): number {
  return Number(Object.values(settings)[0]);
}
