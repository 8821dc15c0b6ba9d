/** The worker's side of one model: micro-batches through a session. */
import { type Joining, ShoalError, type WireItem } from '@shoal/contracts';
import type { SessionPort } from './session.js';
import type { TaskFace, TaskRun } from './tasks/pipeline.js';
import { PIPELINES } from './tasks/table.js';
import { tensorsGroupKey } from './tasks/tensors.js';
import type { Model, ModelRunner } from './types.js';

const NOT_PROVED: Joining = { rows: 'alone', reason: 'whether rows are independent was not tried' };

/**
 * Binds `model` to a session of its ONNX file; `close` releases the session. `joining` is what has been proved (findJoining):
 * until then every item has a pass of its own.
 *
 * @throws ShoalError `internal_error` where the task takes more than one pass
 */
export function loadRunner(model: Model, session: SessionPort, joining: Joining = NOT_PROVED): ModelRunner {
  const { run, defaults }: TaskFace & Partial<TaskRun> = PIPELINES[model.task];
  if (run === undefined || defaults === undefined)
    throw new ShoalError('internal_error', `${model.task} is not one forward pass`);
  return {
    model,
    joining,
    defaults: defaults(model),
    groupKey(item: WireItem) {
      if (item.kind === 'tensors') return tensorsGroupKey(item);
      return joining.rows === 'any-length' ? '' : String(item.ids.length);
    },
    async run(rows) {
      if (joining.rows !== 'alone' || rows.length <= 1) return await run(model, session, rows);
      const outputs = [];
      for (const row of rows) outputs.push(...(await run(model, session, [row])));
      return outputs;
    },
    close: () => session.release(),
  };
}
