/** The model that students learn from: asked as any caller asks it, so that a student learns what is served. */
import { ShoalError } from '@shoal/contracts';
import { createModelFace, type Model } from '@shoal/models';
import { AnswerElsewhere } from '../teacher/answer-elsewhere.js';
import { AnswerHere } from '../teacher/answer-here.js';
import { type Answer, askPages } from '../teacher/ask-pages.js';
import { vocabularyOf } from '../teacher/pages.js';
import type { Question } from '../teacher/types.js';
import type { Context } from '../types.js';

export interface Teacher {
  readonly model: Model;
  /** Token ids are below it. */
  readonly vocabulary: number;
  /**
   * `use` gets the answers one by one, in any order, each once. Scores of classes are in whichever order `indices` tells.
   *
   * @throws ShoalError where a question cannot be answered; the signal's reason
   */
  ask(questions: readonly Question[], use: (answer: Answer) => void, options?: AskOptions): Promise<void>;
  close(): Promise<void>;
}

export interface AskOptions {
  /** Of the model's task, as a request gives them. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** False: not on the disk, since they are many times larger than texts, and nobody else asks. */
  readonly keep?: boolean;
  /** From 0 to 1. */
  readonly onProgress?: (share: number) => void;
}

type TeacherContext = Pick<Context, 'runtime' | 'now' | 'signal' | 'answers'>;

/**
 * Answers that the run has are read from the disk; others are computed in this process, or by the teacher elsewhere where the run has
 * one. The model is loaded once one is missing.
 *
 * @throws ShoalError `model_invalid` where it is no model of texts
 */
export async function openTeacher(model: Model, context: TeacherContext): Promise<Teacher> {
  const { now, answers } = context;
  if (model.text === null)
    throw new ShoalError('model_invalid', `${model.name} serves ${model.task}: it has no tokenizer`);
  const face = await createModelFace(model);
  const here = new AnswerHere(model, context);
  const elsewhere = answers?.elsewhere;
  const source = elsewhere === undefined ? here : new AnswerElsewhere(model, elsewhere, here);
  return {
    model,
    vocabulary: vocabularyOf(model),
    ask: (questions, use, { parameters = {}, keep = true, onProgress = () => {} } = {}) =>
      askPages(questions, use, {
        ...{ face, source, now, parameters: { ...parameters, truncate: true } },
        ...{ kept: keep ? answers?.kept : undefined, print: answers?.print ?? '' },
        onAnswered(progress) {
          onProgress(progress.done / progress.total);
          answers?.onAnswered(progress);
        },
      }),
    close: () => source.close(),
  };
}
