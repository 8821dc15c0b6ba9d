/** The worker's side of one model: micro-batches through a session. */
import type { WireItem } from '@shoal/contracts';
import type { SessionPort } from './session.js';
import { PIPELINES } from './tasks/table.js';
import { tensorsGroupKey } from './tasks/tensors.js';
import type { Model, ModelRunner } from './types.js';

/** Binds `model` to a session of its ONNX file; `close` releases the session. */
export function loadRunner(model: Model, session: SessionPort): ModelRunner {
  const pipeline = PIPELINES[model.task];
  const masked = model.inputs.some((input) => input.name === 'attention_mask');
  return {
    model,
    groupKey(item: WireItem) {
      if (item.kind === 'tensors') return tensorsGroupKey(item);
      // Without a mask the graph would read padding as text, so only equal lengths go together.
      return masked ? '' : String(item.ids.length);
    },
    async run(rows) {
      if (model.batchable || rows.length <= 1) return await pipeline.run(model, session, rows);
      const outputs = [];
      for (const row of rows) outputs.push(...(await pipeline.run(model, session, [row])));
      return outputs;
    },
    close: () => session.release(),
  };
}
