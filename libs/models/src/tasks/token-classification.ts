/** token-classification: a text → entities with their place in the text. */
import { type TokenClassificationEntity, TokenClassificationParameters, type WireOutput } from '@shoal/contracts';
import { z } from 'zod';
import { softmax } from '../numbers/scores.js';
import { shortest } from '../numbers/shortest.js';
import { logitsOutput } from '../repository/graph.js';
import type { SessionPort } from '../session.js';
import { encodeTexts } from '../text/encode-texts.js';
import { textPositions } from '../text/offsets.js';
import type { Model, Row } from '../types.js';
import { aggregate, type ScoredToken, tagOf } from './aggregate.js';
import { finiteOr, forwardTexts, tokenOutput } from './forward.js';
import { type ApiModel, type Encoded, outputOfKind, type Parameters, textModel } from './pipeline.js';
import { checkRequest } from './request.js';

/** Offsets are offsets of one text: no pairs, no bare ids. */
const Text = z.string().min(1, 'must not be empty');
const TokenClassificationInput = z.union([Text, z.strictObject({ text: Text })], { error: 'give a text or {text}' });

/** A stored entity beside its word. */
const ENTITY_BYTES = 80;

type Resolved = Omit<TokenClassificationParameters, 'truncate'>;

async function encode(api: ApiModel, input: unknown, parameters: unknown): Promise<Encoded> {
  const schemas = { element: TokenClassificationInput, parameters: TokenClassificationParameters };
  const request = checkRequest(schemas, input, parameters);
  const { truncate } = request.parameters;
  const { tokenizer, details, vocabSize } = textModel(api);
  const rows = request.elements.map(({ path, value }) => ({ path, input: value }));
  const { maxTokens, truncationSide: side } = details;
  const limits = { maxTokens, vocabSize, truncate, side };
  const items = await encodeTexts(tokenizer, rows, limits, textPositions);
  const tokens = items.map(({ ids }) => ids.length);
  const texts = items.reduce((bytes, { text }) => bytes + Buffer.byteLength(text ?? ''), 0);
  const entities = tokens.reduce((sum, count) => sum + count, 0);
  const resultBytes = entities * ENTITY_BYTES + texts;
  return { parameters: resolve(request.parameters), items, tokens, array: request.array, resultBytes };
}

function resolve({ truncate: _, ...resolved }: TokenClassificationParameters): Resolved {
  return resolved;
}

const defaults = (): Parameters => resolve(TokenClassificationParameters.parse({}));

async function run(model: Model, session: SessionPort, rows: readonly Row[]): Promise<(WireOutput | Error)[]> {
  return forwardTexts(model, session, rows, ({ items, width, outputs }) => {
    const { name } = logitsOutput(model);
    const { values, dims, stride } = tokenOutput(outputs[name], name, rows.length, width);
    const classes = dims[2]!;
    return rows.map(({ parameters }, row) => {
      const { aggregation_strategy, ignore_labels } = parameters as Parameters & Resolved;
      const { ids, offsets, words, text } = items[row]!;
      const logits = values.subarray(row * stride, row * stride + ids.length * classes);
      return finiteOr(logits, (): WireOutput => {
        const tokens: ScoredToken[] = [];
        for (let i = 0; i < ids.length; i++) {
          const word = words?.[i] ?? -1;
          if (word < 0) continue;
          const scores = softmax(logits.subarray(i * classes, (i + 1) * classes));
          tokens.push({ scores, start: offsets?.[2 * i] ?? 0, end: offsets?.[2 * i + 1] ?? 0, word });
        }
        const entities = aggregate(tokens, text ?? '', model.labels, aggregation_strategy, ignore_labels);
        return { kind: 'entities', entities };
      });
    });
  });
}

/** Aggregated entities are named by their tag (`PER`), single tokens by their label (`B-PER`). */
function present(model: Model, parameters: Parameters, outputs: readonly WireOutput[]): TokenClassificationEntity[] {
  const { aggregation_strategy } = parameters as Parameters & Resolved;
  return outputOfKind(outputs[0], 'entities').entities.map(({ label, score, word, start, end }) => {
    const name = model.labels[label] ?? `LABEL_${label}`;
    const rounded = shortest(Math.fround(score));
    return { label: aggregation_strategy === 'none' ? name : tagOf(name), score: rounded, word, start, end };
  });
}

export const tokenClassification = { encode, run, defaults, present };
