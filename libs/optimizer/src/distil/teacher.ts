/** The model that students learn from: asked as any caller asks it, so that a student learns what is served. */
import { ShoalError, type TextItem, type WireOutput } from '@shoal/contracts';
import {
  createModelFace,
  findJoining,
  loadRunner,
  type Model,
  type ModelFace,
  type ModelRunner,
  sessionModel,
} from '@shoal/models';
import type { Context } from '../types.js';

/** What makes one row: a text, token ids, or a query with a document. */
export type Question =
  | string
  | { readonly tokens: readonly number[] }
  | { readonly query: string; readonly documents: readonly [string] };

export interface Answer {
  /** Of the question, among all. */
  readonly place: number;
  /** Its tokens, prompts and special ones included, cut to the longest text that the model takes. */
  readonly item: TextItem;
  readonly output: WireOutput;
}

export interface Teacher {
  readonly model: Model;
  /** Token ids are below it. */
  readonly vocabulary: number;
  /**
   * `use` gets the answers one by one, in any order, each once.
   *
   * @throws ShoalError where a question cannot be answered; the signal's reason
   */
  ask(questions: readonly Question[], use: (answer: Answer) => void, options?: AskOptions): Promise<void>;
  close(): Promise<void>;
}

export interface AskOptions {
  /** Of the model's task, as a request gives them. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** From 0 to 1. */
  readonly onProgress?: (share: number) => void;
}

type TeacherContext = Pick<Context, 'runtime' | 'now' | 'signal'>;

/** As many as a job takes. */
const PAGE = 1000;
/** Rows of one pass, and its tokens with padding. */
const ROWS = 32;
const TOKENS = 4096;

/** Answers in this process. @throws ShoalError `model_invalid` where it cannot be loaded, or is no model of texts */
export async function openTeacher(model: Model, context: TeacherContext): Promise<Teacher> {
  const { runtime, now } = context;
  if (model.text === null)
    throw new ShoalError('model_invalid', `${model.name} serves ${model.task}: it has no tokenizer`);
  const face = await createModelFace(model);
  const session = await runtime.createSession(sessionModel(model.variants[model.variant]!));
  try {
    const device = { runtimeVersion: runtime.version, device: 'cpu', deviceOptions: {} };
    const { joining } = await findJoining(model, session, { ...device, now });
    const runner = loadRunner(model, session, joining);
    return {
      model,
      vocabulary: vocabularyOf(model),
      ask: (questions, use, options) => ask({ face, runner, context }, questions, use, options),
      close: () => runner.close(),
    };
  } catch (error) {
    await session.release();
    throw error;
  }
}

/** Rows of the embedding table. @throws ShoalError `model_invalid` where config.json does not say */
export function vocabularyOf({ name, text }: Model): number {
  if (text?.vocabSize != null) return text.vocabSize;
  throw new ShoalError('model_invalid', `${name}: config.json has no vocab_size: add the number of the model's tokens`);
}

interface Asked {
  readonly face: ModelFace;
  readonly runner: ModelRunner;
  readonly context: TeacherContext;
}

async function ask(
  asked: Asked,
  questions: readonly Question[],
  use: (answer: Answer) => void,
  { parameters = {}, onProgress }: AskOptions = {},
): Promise<void> {
  for (let from = 0; from < questions.length; from += PAGE) {
    await askPage(asked, questions.slice(from, from + PAGE), from, { ...parameters, truncate: true }, use);
    onProgress?.(Math.min(1, (from + PAGE) / questions.length));
  }
}

/** In halves, where the answers are too large for one job. */
async function askPage(
  asked: Asked,
  input: readonly Question[],
  from: number,
  wishes: object,
  use: (answer: Answer) => void,
): Promise<void> {
  const { face, runner, context } = asked;
  const encoded = await face.encode({ input, parameters: wishes }).catch((error: unknown) => {
    if (error instanceof ShoalError && error.code === 'result_too_large' && input.length > 1) return null;
    throw error;
  });
  if (encoded === null) {
    const half = input.length >> 1;
    await askPage(asked, input.slice(0, half), from, wishes, use);
    await askPage(asked, input.slice(half), from + half, wishes, use);
    return;
  }
  const items = encoded.items.map((item) => checked(item, face.model));
  for (const batch of batches(items, (item) => runner.groupKey(item))) {
    context.signal.throwIfAborted();
    const outputs = await runner.run(batch.map((n) => ({ item: items[n]!, parameters: encoded.parameters })));
    for (const [row, n] of batch.entries()) {
      const output = outputs[row]!;
      if (output instanceof Error) throw output;
      use({ place: from + n, item: items[n]!, output });
    }
  }
}

/** @throws ShoalError `model_invalid` where the tokenizer is another model's */
function checked(item: unknown, model: Model): TextItem {
  const { ids } = item as TextItem;
  const vocabulary = vocabularyOf(model);
  const foreign = ids.find((id) => id >= vocabulary);
  if (foreign === undefined) return item as TextItem;
  const message = `tokenizer.json makes the token ${foreign}, and config.json has a vocab_size of ${vocabulary}`;
  throw new ShoalError('model_invalid', `${model.name}: ${message}: they are not of one model`);
}

/** Places of items that share a pass, neighbours by length. */
function batches(items: readonly TextItem[], keyOf: (item: TextItem) => string): number[][] {
  const order = items.map((_, n) => n).sort((a, b) => items[a]!.ids.length - items[b]!.ids.length);
  const all: number[][] = [];
  for (const n of order) {
    const last = all.at(-1);
    const { length } = items[n]!.ids;
    const fits = last !== undefined && last.length < ROWS && (last.length + 1) * length <= TOKENS;
    if (fits && keyOf(items[last[0]!]!) === keyOf(items[n]!)) last.push(n);
    else all.push([n]);
  }
  return all;
}
