/** The teacher elsewhere as a run has it: looked for when the first page is asked for, so that a run which asks for none does without. */
import type { Model } from '@shoal/models';
import type { AskElsewhere } from '../trial/relay.js';
import type { TeacherElsewhere } from './types.js';

/** What it gives throws as `find` and `answer` do; who asks after that has it looked for anew. */
export function askElsewhere(teacher: TeacherElsewhere, original: Model): AskElsewhere {
  let found: Promise<void> | undefined;
  return async (page, signal) => {
    // Pages that are asked for at once wait for one look.
    found ??= teacher.find(original, signal).catch((error: unknown) => {
      found = undefined;
      throw error;
    });
    await found;
    return await teacher.answer(original, page, signal);
  };
}
