/**
 * Cascades: classifiers whose graph answers what it is sure of, and has a larger model, its teacher, for the rest. In the output
 * `escalated`, bool [batch], it tells which rows the teacher answered. Older ones do not, and are served all the same.
 */
import type { SessionPort } from './session.js';
import type { Model } from './types.js';

export const ESCALATED = 'escalated';

/** Whether the graph tells which rows its teacher answered. */
export function tellsEscalated({ task, outputs }: Pick<Model, 'task' | 'outputs'>): boolean {
  if (task !== 'text-classification') return false;
  return outputs.some(({ name, type, shape }) => name === ESCALATED && type === 'bool' && shape.length === 1);
}

/** The session of such a graph; `note` is told after each pass how many rows it had, and how many of them the teacher answered. */
export function watchEscalated(session: SessionPort, note: (escalated: number, rows: number) => void): SessionPort {
  return {
    async run(feeds, options) {
      const outputs = await session.run(feeds, options);
      const rows = outputs[ESCALATED]?.data as Uint8Array;
      note(
        rows.reduce((sum, row) => sum + row, 0),
        rows.length,
      );
      return outputs;
    },
    release: () => session.release(),
  };
}
