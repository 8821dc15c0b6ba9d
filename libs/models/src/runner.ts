/** The worker's side of one model: micro-batches through a session. */
import type { Joining, WireItem } from '@shoal/contracts';
import type { SessionPort } from './session.js';
import { PIPELINES } from './tasks/table.js';
import { tensorsGroupKey } from './tasks/tensors.js';
import type { Model, ModelRunner } from './types.js';

const NOT_PROVED: Joining = { rows: 'alone', reason: 'whether rows are independent was not tried' };

/**
 * Binds `model` to a session of its ONNX file; `close` releases the session. `joining` is what has been proved (findJoining):
 * until then every item has a pass of its own.
 */
export function loadRunner(model: Model, session: SessionPort, joining: Joining = NOT_PROVED): ModelRunner {
  const pipeline = PIPELINES[model.task];
  return {
    model,
    joining,
    groupKey(item: WireItem) {
      if (item.kind === 'tensors') return tensorsGroupKey(item);
      return joining.rows === 'any-length' ? '' : String(item.ids.length);
    },
    async run(rows) {
      if (joining.rows !== 'alone' || rows.length <= 1) return await pipeline.run(model, session, rows);
      const outputs = [];
      for (const row of rows) outputs.push(...(await pipeline.run(model, session, [row])));
      return outputs;
    },
    close: () => session.release(),
  };
}
