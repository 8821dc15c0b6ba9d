/** The API's side of one model: check and tokenise inputs, show outputs, describe the model. */
import { MAX_RESULT_BYTES, ShoalError } from '@shoal/contracts';
import { modelCard } from './card.js';
import { LazyList } from './lazy-list.js';
import { isLargeOutput } from './result-size.js';
import type { TaskFace } from './tasks/pipeline.js';
import { PIPELINES } from './tasks/table.js';
import { loadTokenizer } from './text/tokenizer.js';
import type { EncodedInput, EncodeRequest, ItemOutcome, Model, ModelFace, Presented, Presenter } from './types.js';

/** Loads the tokenizer, where the task has one. Throws `model_invalid`. */
export async function createModelFace(model: Model): Promise<ModelFace> {
  const pipeline = PIPELINES[model.task];
  const tokenizer = model.text === null ? null : await loadTokenizer(model, model.text.maxTokens);
  return {
    model,
    encode: async (request) => {
      checkTask(model, request);
      const parameters = withDefaults(model, request.parameters);
      const encoded = await pipeline.encode({ model, tokenizer }, request.input, parameters);
      checkResultBytes(encoded.resultBytes);
      return { task: model.task, ...encoded };
    },
    ...createPresenter(model),
    card: (origin, joining = null, keys = false) => modelCard(model, origin, joining, keys),
  };
}

export function createPresenter(model: Model): Presenter {
  const pipeline = PIPELINES[model.task];
  return { present: (shape, results) => present(model, pipeline, shape, results) };
}

function checkTask(model: Model, { task }: EncodeRequest): void {
  if (task === undefined || task === model.task) return;
  const fault = { path: 'task', message: `${model.name} serves ${model.task}` };
  throw new ShoalError('invalid_request', `${fault.path}: ${fault.message}`, { faults: [fault] });
}

/** The model's folder may say that texts which are too long are cut unless a request says otherwise. */
function withDefaults({ shoal: { truncate }, text }: Model, parameters: unknown): unknown {
  const given = parameters ?? {};
  if (truncate === undefined || text === null || typeof given !== 'object') return given;
  return { ...given, truncate: ('truncate' in given ? given.truncate : null) ?? truncate };
}

function checkResultBytes(bytes: number): void {
  if (bytes <= MAX_RESULT_BYTES) return;
  throw new ShoalError(
    'result_too_large',
    `The result would take ${bytes} bytes; one job's result takes ${MAX_RESULT_BYTES}. Ask for fewer items or values`,
  );
}

function present(
  model: Model,
  pipeline: TaskFace,
  { parameters, array, groups }: Pick<EncodedInput, 'parameters' | 'array' | 'groups'>,
  results: readonly ItemOutcome[],
): Presented {
  const errors: Presented['errors'][number][] = [];
  const elements = groupsOf(groups ?? results.map(() => 1), results);
  for (const [index, rows] of elements.entries()) {
    const error = rows.find((row) => row?.error !== undefined)?.error;
    if (error !== undefined) errors.push({ ...error, index });
  }
  const show = (index: number) => {
    const rows = elements[index] ?? [];
    const outputs = rows.flatMap((row) => row?.output ?? []);
    // Scores of some documents do not rank all of them: a group is whole or null.
    return outputs.length > 0 && outputs.length === rows.length ? pipeline.present(model, parameters, outputs) : null;
  };
  if (!array) return { output: show(0), errors };
  const list = new LazyList(elements.length, show);
  const large = isLargeOutput(results.map((row) => row?.output));
  return { output: large ? list : [...list], errors };
}

/** The rows of each element. */
function groupsOf(sizes: readonly number[], results: readonly ItemOutcome[]): (readonly ItemOutcome[])[] {
  let from = 0;
  return sizes.map((size) => {
    from += size;
    return results.slice(from - size, from);
  });
}
