/** The teacher elsewhere as a trial's process has it: it asks the run, which has address and key. */
import type { AnswerRows } from '../teacher/answer-rows.js';
import type { Elsewhere } from '../teacher/types.js';
import type { AnswersMessage, GivenMessage } from './messages.js';

/** Of what the run could not get nobody hears here: it ends the trial. */
export function askRun(name: string, tell: (message: AnswersMessage) => void): Elsewhere {
  const waiting = new Map<number, (rows: AnswerRows) => void>();
  let last = 0;
  process.on('message', (message) => {
    const { kind, number, rows } = message as GivenMessage;
    if (kind !== 'given') return;
    waiting.get(number)?.(rows);
    waiting.delete(number);
  });
  return {
    name,
    answer({ key, questions, parameters }) {
      last += 1;
      const number = last;
      return new Promise((resolve) => {
        waiting.set(number, (rows) => resolve({ rows, taken: () => tell({ kind: 'taken', number }) }));
        tell({ kind: 'ask', number, page: { key, questions, parameters } });
      });
    },
  };
}
