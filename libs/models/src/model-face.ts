/** The API's side of one model: check and tokenise inputs, show outputs, describe the model. */
import { MAX_RESULT_BYTES, ShoalError, type WireOutput } from '@shoal/contracts';
import { modelCard } from './card.js';
import { LazyList } from './lazy-list.js';
import { isLargeOutput } from './result-size.js';
import type { TaskFace } from './tasks/pipeline.js';
import { PIPELINES } from './tasks/table.js';
import type { TokenTexts } from './text/token-texts.js';
import { loadTokenizer } from './text/tokenizer.js';
import type { EncodedInput, EncodeRequest, ItemOutcome, Model, ModelFace, Presented, Presenter } from './types.js';

/** Loads the tokenizer, where the task has one. `random`: from 0 to 1, for seeds that are left out. Throws `model_invalid`. */
export async function createModelFace(model: Model, random: () => number = Math.random): Promise<ModelFace> {
  const pipeline = PIPELINES[model.task];
  const tokenizer = model.maxTokens === null ? null : await loadTokenizer(model, model.maxTokens);
  const tokens = model.generator === null ? null : (tokenizer?.tokens() ?? null);
  return {
    model,
    encode: async (request) => {
      checkTask(model, request);
      const parameters = withDefaults(model, request.parameters);
      const encoded = await pipeline.encode({ model, tokenizer, random }, request.input, parameters);
      checkResultBytes(encoded.resultBytes);
      return { task: model.task, ...encoded };
    },
    ...presenterOf(model, tokens),
    ...(tokens && { tokens }),
    card: (origin, joining = null, keys = false, name = model.name) =>
      modelCard(model, name, { origin, joining, keys }),
  };
}

/** Loads the tokenizer only where outputs are tokens. Throws `model_invalid`. */
export async function createPresenter(model: Model): Promise<Presenter> {
  const { generator } = model;
  return presenterOf(model, generator && (await loadTokenizer(model, generator.maxContext)).tokens());
}

function presenterOf(model: Model, tokens: TokenTexts | null): Presenter {
  const face: TaskFace = PIPELINES[model.task];
  const show: Show = (parameters, outputs) => face.present(model, parameters, outputs, tokens);
  return { present: (shape, results) => present(show, shape, results) };
}

type Show = (parameters: EncodedInput['parameters'], outputs: readonly WireOutput[]) => unknown;

function checkTask(model: Model, { task }: EncodeRequest): void {
  if (task === undefined || task === model.task) return;
  const fault = { path: 'task', message: `${model.name} serves ${model.task}` };
  throw new ShoalError('invalid_request', `${fault.path}: ${fault.message}`, { faults: [fault] });
}

/** The model's folder may say that texts which are too long are cut unless a request says otherwise. */
function withDefaults({ shoal: { truncate }, maxTokens }: Model, parameters: unknown): unknown {
  const given = parameters ?? {};
  if (truncate === undefined || maxTokens === null || typeof given !== 'object') return given;
  return { ...given, truncate: ('truncate' in given ? given.truncate : null) ?? truncate };
}

function checkResultBytes(bytes: number): void {
  if (bytes <= MAX_RESULT_BYTES) return;
  throw new ShoalError(
    'result_too_large',
    `The result would take ${bytes} bytes; one job's result takes ${MAX_RESULT_BYTES}. Ask for fewer items, values or tokens`,
  );
}

function present(
  showOne: Show,
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
    return outputs.length > 0 && outputs.length === rows.length ? showOne(parameters, outputs) : null;
  };
  if (!array) return { output: show(0), errors };
  const list = LazyList.of(elements.length, show);
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
