/** What a task consists of: its face, which every task has, and the run of those that one forward pass answers. */
import { ShoalError, type WireOutput } from '@shoal/contracts';
import type { SessionPort } from '../session.js';
import type { TokenTexts } from '../text/token-texts.js';
import type { TextTokenizer } from '../text/tokenizer.js';
import type { EncodedInput, Model, Row, TextDetails } from '../types.js';

/** A model as the API holds it. */
export interface ApiModel {
  readonly model: Model;
  /** Null for `tensors`. */
  readonly tokenizer: TextTokenizer | null;
  /** From 0 to 1. */
  readonly random: () => number;
}

export type Encoded = Omit<EncodedInput, 'task'>;
export type Parameters = Readonly<Record<string, unknown>>;

/** The API's half. */
export interface TaskFace {
  /** Throws ShoalError `invalid_request` or `input_too_long`. */
  encode(api: ApiModel, input: unknown, parameters: unknown): Promise<Encoded>;
  /** One element of the input as callers see it, from the outputs of its rows (one, but for rerank and several answers). `tokens`: null where the task has none. */
  present(model: Model, parameters: Parameters, outputs: readonly WireOutput[], tokens: TokenTexts | null): unknown;
}

/** The worker's half. */
export interface TaskRun {
  /** One forward pass; an Error in a row's place fails that row alone. */
  run(model: Model, session: SessionPort, rows: readonly Row[]): Promise<(WireOutput | Error)[]>;
  /** What rows carry of a request that gave no parameters. */
  defaults(model: Model): Parameters;
}

export interface TextModel {
  readonly tokenizer: TextTokenizer;
  readonly details: TextDetails;
  readonly vocabSize: number;
}

export function textModel({ model, tokenizer }: ApiModel): TextModel {
  const details = textDetailsOf(model);
  if (tokenizer === null) throw new ShoalError('internal_error', `${model.name} was loaded without its tokenizer`);
  return { tokenizer, details, vocabSize: details.vocabSize ?? tokenizer.vocabSize };
}

export function textDetailsOf(model: Model): TextDetails {
  if (model.text === null) throw new ShoalError('internal_error', `${model.name} is not a text model`);
  return model.text;
}

/** The output of a row of the kind that the task makes. */
export function outputOfKind<K extends WireOutput['kind']>(
  output: WireOutput | undefined,
  kind: K,
): Extract<WireOutput, { kind: K }> {
  if (output?.kind === kind) return output as Extract<WireOutput, { kind: K }>;
  throw new ShoalError('internal_error', `a stored output is ${output?.kind ?? 'missing'} where ${kind} was expected`);
}
