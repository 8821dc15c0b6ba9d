/** A student with fewer layers, begun from the original's and trained to answer as it does. */
import { type Anatomy, placeOf } from '../prune/anatomy.js';
import { pruneLayers, secondsOfLayers } from '../prune/layers.js';
import { type Opened, open } from '../prune/subject.js';
import type { Candidate, Context, Made, Method, Subject } from '../types.js';
import { encoderLesson, TEACHER_SHARE } from './encoder-lesson.js';
import { heal } from './heal.js';
import { countExamples, type Load, planSchedule, scheduleIn } from './schedule.js';
import { MOST_EXAMPLES, refusalOf } from './targets.js';
import type { Healed, HealOrder } from './types.js';

/** Of layers that are kept; of fewer than four a quarter is none. */
const SHARES = [1 / 2, 1 / 4];
const LEAST_LAYERS_TO_QUARTER = 4;

export const student: Method = {
  name: 'student',
  stage: 'depth',
  description: 'fewer layers, begun from those of the model and trained to answer as it does',
  tasks: ['feature-extraction', 'text-classification', 'token-classification', 'rerank'],

  async plan(subject, limits) {
    const { original } = subject;
    const reason = refusalOf(original);
    if (reason !== null) return reason;
    const opened = open(subject);
    if (typeof opened === 'string') return opened;
    const counts = keptCounts(opened.anatomy);
    if (counts.length === 0) return `it has no layer that could go: ${opened.anatomy.layers} in all`;
    return counts.map((kept): Candidate => {
      const { schedule, seconds } = planSchedule(loadOf(subject, opened, kept), limits);
      return {
        ...{ method: 'student', variant: `student${kept}` },
        settings: { layers: kept, teacher: TEACHER_SHARE, ...schedule },
        seconds: Math.ceil(secondsOfLayers(kept, opened) + seconds),
      };
    });
  },

  async make(candidate, subject, path, context): Promise<Made> {
    return (await makeStudent(candidate, subject, path, context)).made;
  },
};

/** As `student.make`, with what evaluations brought. `teacher` of the settings: see `encoderLesson`. @throws as heal */
export async function makeStudent(
  candidate: Candidate,
  subject: Subject,
  path: string,
  context: Context,
): Promise<Healed> {
  const { layers, teacher } = candidate.settings;
  const order: HealOrder = {
    begin: (own) => pruneLayers(Number(layers), subject, path, own),
    lesson: (own) => encoderLesson(subject, own, Number(teacher)),
    schedule: scheduleIn(candidate),
  };
  return await heal(order, subject, path, context);
}

function keptCounts({ layers, fixed }: Anatomy): readonly number[] {
  const shares = SHARES.filter((share) => share >= 1 / 2 || layers >= LEAST_LAYERS_TO_QUARTER);
  const counts = shares.map((share) => Math.round(layers * share));
  return [...new Set(counts)].filter((kept) => kept < layers && kept >= Math.max(1, fixed.size));
}

/** What training costs with so many layers, at the mean of all. */
export function loadOf({ original, data }: Subject, { served, anatomy }: Opened, kept: number): Load {
  let [inLayers, elsewhere] = [0, 0];
  for (const { name, count } of served.weights.tensors.values()) {
    if (placeOf(name) === undefined) elsewhere += count;
    else inLayers += count;
  }
  const products = (inLayers * kept) / anatomy.layers;
  const { examples, tokens } = countExamples(data.calibration, original.maxTokens);
  return {
    ...{ products, teacherProducts: inLayers, numbers: products + elsewhere, width: anatomy.width, tokens },
    examples: Math.min(MOST_EXAMPLES, examples),
  };
}
