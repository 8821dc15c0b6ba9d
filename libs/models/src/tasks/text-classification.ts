/** text-classification: a text or pair → its classes with scores, best first. */
import {
  type TextClassificationOutput,
  TextClassificationParameters,
  TextInput,
  type WireOutput,
} from '@shoal/contracts';
import { applyScoreFunction, topIndices } from '../numbers/scores.js';
import { shortest } from '../numbers/shortest.js';
import { logitsOutput } from '../repository/graph.js';
import type { SessionPort } from '../session.js';
import { encodeTexts } from '../text/encode-texts.js';
import { promptOf, withPrompt } from '../text/prompts.js';
import type { Model, Row, ScoreFunction } from '../types.js';
import { finiteOr, floatOutput, forwardTexts } from './forward.js';
import { type ApiModel, type Encoded, outputOfKind, type Parameters, textDetailsOf, textModel } from './pipeline.js';
import { checkRequest } from './request.js';

/** MessagePack's keys and headers around one item's scores. */
const OVERHEAD_BYTES = 48;

interface Resolved {
  readonly top_k: number;
  readonly function_to_apply: ScoreFunction;
}

async function encode(api: ApiModel, input: unknown, parameters: unknown): Promise<Encoded> {
  const request = checkRequest({ element: TextInput, parameters: TextClassificationParameters }, input, parameters);
  const { tokenizer, details, vocabSize } = textModel(api);
  const { truncate } = request.parameters;
  const rows = request.elements.map(({ path, value }) => ({ path, input: value }));
  const { maxTokens, truncationSide: side } = details;
  const prompted = withPrompt(rows, promptOf(details, undefined));
  const items = await encodeTexts(tokenizer, prompted, { maxTokens, vocabSize, truncate, side });
  const resolved = resolve(api.model, request.parameters);
  return {
    parameters: { ...resolved },
    items,
    tokens: items.map(({ ids }) => ids.length),
    array: request.array,
    resultBytes: items.length * (OVERHEAD_BYTES + 8 * resolved.top_k),
  };
}

function resolve(model: Model, { top_k, function_to_apply }: TextClassificationParameters): Resolved {
  const classes = model.labels.length;
  return {
    top_k: Math.min(top_k ?? classes, classes),
    function_to_apply: function_to_apply ?? textDetailsOf(model).scoreFunction,
  };
}

const defaults = (model: Model): Parameters => ({ ...resolve(model, TextClassificationParameters.parse({})) });

async function run(model: Model, session: SessionPort, rows: readonly Row[]): Promise<(WireOutput | Error)[]> {
  return forwardTexts(model, session, rows, ({ outputs }) => {
    const { name } = logitsOutput(model);
    const { values, stride } = floatOutput(outputs[name], name, rows.length);
    return rows.map(({ parameters }, row) => {
      const logits = values.subarray(row * stride, (row + 1) * stride);
      return finiteOr(logits, () => classify(logits, parameters as Parameters & Resolved));
    });
  });
}

function classify(logits: Float32Array, { function_to_apply, top_k }: Resolved): WireOutput {
  const scores = applyScoreFunction(logits, function_to_apply);
  const indices = topIndices(scores, top_k);
  return { kind: 'scores', indices, scores: Float32Array.from(indices, (index) => scores[index]!) };
}

function present(model: Model, _parameters: Parameters, outputs: readonly WireOutput[]): TextClassificationOutput {
  const { indices, scores } = outputOfKind(outputs[0], 'scores');
  return Array.from(indices, (index, i) => ({
    label: model.labels[index] ?? `LABEL_${index}`,
    score: shortest(scores[i]!),
  }));
}

export const textClassification = { encode, run, defaults, present };
