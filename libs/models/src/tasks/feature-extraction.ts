/** feature-extraction: a text → one embedding, or one vector per token (`pooling: none`). */
import {
  FeatureExtractionParameters,
  type Pooling,
  ShoalError,
  TextInput,
  type TextItem,
  type WireOutput,
} from '@shoal/contracts';
import { throwFaults } from '../faults.js';
import { LazyList } from '../lazy-list.js';
import { normalize, pool } from '../numbers/pooling.js';
import { shortestArray } from '../numbers/shortest.js';
import { embeddingOutputs, pooledByGraph } from '../repository/graph.js';
import { isLargeOutput } from '../result-size.js';
import type { SessionPort } from '../session.js';
import { encodeTexts, type TextRow } from '../text/encode-texts.js';
import { promptLength, promptOf, withPrompt } from '../text/prompts.js';
import type { Model, Row } from '../types.js';
import { type FloatOutput, finiteOr, floatOutput, forwardTexts, tokenOutput } from './forward.js';
import { type ApiModel, type Encoded, outputOfKind, type Parameters, type TextModel, textModel } from './pipeline.js';
import { checkRequest } from './request.js';

const OVERHEAD_BYTES = 48;
/** Where neither graph nor config.json gives the length of a vector. */
const UNKNOWN_DIMENSIONS = 4096;

interface Resolved {
  /** Names of poolings side by side, with `+` between; `none`; or `graph`: the vector that the graph itself pooled. */
  readonly pooling: string;
  readonly normalize: boolean;
  /** Leading values to keep; null for all. */
  readonly dimensions: number | null;
}

async function encode(api: ApiModel, input: unknown, parameters: unknown): Promise<Encoded> {
  const request = checkRequest({ element: TextInput, parameters: FeatureExtractionParameters }, input, parameters);
  const resolved = resolve(api.model, request.parameters);
  const rows = request.elements.map(({ path, value }) => ({ path, input: value }));
  const items = await encodeRows(textModel(api), rows, request.parameters);
  const tokens = items.map(({ ids }) => ids.length);
  const width = resolved.dimensions ?? api.model.dimensions ?? UNKNOWN_DIMENSIONS;
  const vectors = resolved.pooling === 'none' ? tokens.reduce((sum, count) => sum + count, 0) : items.length;
  return {
    parameters: { ...resolved },
    items,
    tokens,
    array: request.array,
    resultBytes: items.length * OVERHEAD_BYTES + vectors * width * 4,
  };
}

/** With the prompt before each text; where pooling leaves the prompt out, items say how long it is. */
async function encodeRows(
  { tokenizer, details, vocabSize }: TextModel,
  rows: readonly TextRow[],
  { prompt_name, truncate }: FeatureExtractionParameters,
): Promise<readonly TextItem[]> {
  const { maxTokens, truncationSide: side, prompts } = details;
  const prompt = promptOf(details, prompt_name);
  const promptTokens = prompts.pooled ? 0 : await promptLength(tokenizer, prompt);
  if (promptTokens >= maxTokens) {
    const message = `the prompt has ${promptTokens} tokens; the model takes ${maxTokens}, and pools the text alone`;
    throwFaults([{ path: 'parameters.prompt_name', message }]);
  }
  const items = await encodeTexts(tokenizer, withPrompt(rows, prompt), { maxTokens, vocabSize, truncate, side });
  if (promptTokens === 0) return items;
  const isText = ({ input }: TextRow) => typeof input === 'string' || 'text' in input;
  return items.map((item, n) => (isText(rows[n]!) ? { ...item, promptTokens } : item));
}

function resolve(model: Model, asked: FeatureExtractionParameters): Resolved {
  const { tokens } = embeddingOutputs(model);
  const details = model.text;
  if (asked.pooling !== undefined && tokens === null) {
    throwFaults([{ path: 'parameters.pooling', message: 'the graph of this model pools by itself; leave it out' }]);
  }
  if (asked.dimensions !== undefined && asked.dimensions > (model.dimensions ?? asked.dimensions)) {
    throwFaults([{ path: 'parameters.dimensions', message: `this model's vectors have ${model.dimensions}` }]);
  }
  const pooling = asked.pooling ?? (pooledByGraph(model) ? 'graph' : (details?.pooling ?? ['mean']).join('+'));
  return {
    pooling,
    normalize: asked.normalize ?? (pooling !== 'none' && (details?.normalize ?? true)),
    dimensions: asked.dimensions ?? null,
  };
}

async function run(model: Model, session: SessionPort, rows: readonly Row[]): Promise<(WireOutput | Error)[]> {
  return forwardTexts(model, session, rows, ({ items, width, outputs }) => {
    const names = embeddingOutputs(model);
    let tokens: FloatOutput | undefined;
    let pooled: FloatOutput | undefined;
    return rows.map(({ parameters }, row) => {
      const wanted = parameters as Parameters & Resolved;
      if (wanted.pooling === 'graph') {
        const name = names.pooled?.name ?? '';
        pooled ??= floatOutput(outputs[name], name, rows.length);
        return finish(pooled.values.slice(row * pooled.stride, (row + 1) * pooled.stride), pooled.stride, wanted);
      }
      const name = names.tokens?.name ?? '';
      tokens ??= tokenOutput(outputs[name], name, rows.length, width);
      const size = tokens.dims[2]!;
      const start = row * tokens.stride;
      const { ids, promptTokens: skip = 0 } = items[row]!;
      const count = ids.length;
      if (wanted.pooling === 'none') return finish(tokens.values.slice(start, start + count * size), size, wanted);
      if (count === 0) return new ShoalError('inference_failed', 'the text has no tokens that could be pooled');
      const vectors = { values: tokens.values, start, count, width: size, skip };
      const vector = pool(vectors, wanted.pooling.split('+') as Pooling[]);
      return finish(vector, vector.length, wanted);
    });
  });
}

/** Keeps the leading dimensions of each vector, then scales it. `values` is this row's own memory. */
function finish(
  values: Float32Array,
  width: number,
  { dimensions, normalize: unit, pooling }: Resolved,
): WireOutput | Error {
  const kept = Math.min(dimensions ?? width, width);
  const count = values.length / width;
  const vectors = kept === width ? values : new Float32Array(count * kept);
  for (let i = 0; i < count; i++) {
    if (kept !== width) vectors.set(values.subarray(i * width, i * width + kept), i * kept);
    if (unit) normalize(vectors.subarray(i * kept, (i + 1) * kept));
  }
  const dims = pooling === 'none' ? [count, kept] : [kept];
  return finiteOr(vectors, () => ({ kind: 'vector', values: vectors, dims }));
}

/** number[] for an embedding, a list of them for token vectors. */
function present(_model: Model, _parameters: Parameters, outputs: readonly WireOutput[]) {
  const { values, dims } = outputOfKind(outputs[0], 'vector');
  if (dims.length === 1) return shortestArray(values);
  const width = dims[1]!;
  const list = LazyList.of(dims[0]!, (i) => shortestArray(values, i * width, (i + 1) * width));
  return isLargeOutput(outputs) ? list : [...list];
}

const defaults = (model: Model): Parameters => ({ ...resolve(model, FeatureExtractionParameters.parse({})) });

export const featureExtraction = { encode, run, defaults, present };
