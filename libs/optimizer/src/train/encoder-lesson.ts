/** The lesson of encoders: texts to learn from as the model reads them, with what the original answers, asked once before training. */
import { ShoalError, type Task } from '@shoal/contracts';
import { collate } from '@shoal/models';
import { openTeacher } from '../distil/teacher.js';
import type { Context, Subject } from '../types.js';
import {
  type Question,
  refusalOf,
  type Taught,
  teachClasses,
  teachScores,
  teachTokens,
  teachVectors,
} from './targets.js';
import type { Lesson } from './types.js';

const TEACH: Readonly<Partial<Record<Task, (question: Question) => Promise<Taught>>>> = {
  'feature-extraction': teachVectors,
  'text-classification': teachClasses,
  'token-classification': teachTokens,
  rerank: teachScores,
};

/** Of the original's answers beside labels, where every text has one. */
export const TEACHER_SHARE = 0.5;

/**
 * Of the calibration part. `share`: of the original's answers, from 0 to 1, in what a classifier learns whose texts all have labels.
 *
 * @throws ShoalError `invalid_request` where such a model cannot be taught, or there are too few texts; as the teacher does
 */
export async function encoderLesson(
  { original, data }: Subject,
  context: Context,
  share = TEACHER_SHARE,
): Promise<Lesson> {
  const teach = TEACH[original.task];
  const reason = refusalOf(original);
  if (teach === undefined || reason !== null) {
    throw new ShoalError('invalid_request', `${original.name} cannot be taught: ${reason}`);
  }
  const teacher = await openTeacher(original, context);
  try {
    const { items, targets, ...taught } = await teach({ teacher, data, share, onProgress: context.onProgress });
    return {
      ...taught,
      examples: items.length,
      batch(examples) {
        const inputs = collate(
          original.inputs,
          examples.map((n) => items[n]!),
          original.text!,
        );
        const { feeds, rows } = targets(examples, inputs.input_ids!.dims[1]!);
        return { feeds: { ...inputs, ...feeds }, rows };
      },
    };
  } finally {
    await teacher.close();
  }
}
