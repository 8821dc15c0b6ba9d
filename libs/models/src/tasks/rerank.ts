/** rerank: a query and documents → the documents by relevance. Each document is a row of its own. */
import {
  type Fault,
  formatPath,
  MAX_ITEMS,
  RerankInput,
  type RerankOutput,
  RerankParameters,
  type WireOutput,
} from '@shoal/contracts';
import { throwFaults } from '../faults.js';
import { sigmoid } from '../numbers/scores.js';
import { shortest } from '../numbers/shortest.js';
import { logitsOutput } from '../repository/graph.js';
import type { SessionPort } from '../session.js';
import { encodePairs, type Query } from '../text/encode-pairs.js';
import { promptOf } from '../text/prompts.js';
import type { Model, Row, TextDetails } from '../types.js';
import { finiteOr, floatOutput, forwardTexts } from './forward.js';
import { type ApiModel, type Encoded, outputOfKind, type Parameters, textDetailsOf, textModel } from './pipeline.js';
import { checkRequest, type Element } from './request.js';

const OVERHEAD_BYTES = 32;

type Resolved = Required<Pick<RerankParameters, 'return_documents' | 'function_to_apply'>> &
  Pick<RerankParameters, 'top_n'>;

/** A score that brings its document along, where the caller asked for it. */
type ScoreOutput = Extract<WireOutput, { kind: 'score' }> & { readonly text?: string };

async function encode(api: ApiModel, input: unknown, parameters: unknown): Promise<Encoded> {
  const request = checkRequest({ element: RerankInput, parameters: RerankParameters }, input, parameters);
  const { truncate, prompt_name, return_documents } = request.parameters;
  const { tokenizer, details, vocabSize } = textModel(api);
  const { maxTokens, truncationSide: side, pairTemplate } = details;
  const prompt = promptOf(details, prompt_name);
  const queries = request.elements.map((element) => queryOf(element, prompt));
  checkCount(queries.reduce((sum, query) => sum + query.documents.length, 0));
  const encoded = await encodePairs(tokenizer, queries, { maxTokens, vocabSize, truncate, side }, pairTemplate);
  const all = queries.flatMap((query) => query.documents.map(({ text }) => text));
  const documents = return_documents ? all : null;
  const items = documents === null ? encoded : encoded.map((item, i) => ({ ...item, text: documents[i]! }));
  const texts = documents?.reduce((bytes, document) => bytes + Buffer.byteLength(document), 0) ?? 0;
  return {
    parameters: resolve(details, request.parameters),
    items,
    tokens: items.map(({ ids }) => ids.length),
    array: request.array,
    groups: request.elements.map(({ value }) => value.documents.length),
    resultBytes: items.length * OVERHEAD_BYTES + texts,
  };
}

function resolve({ scoreFunction }: TextDetails, { top_n, return_documents, function_to_apply }: RerankParameters) {
  const resolved: Resolved = {
    ...(top_n !== undefined && { top_n }),
    return_documents,
    function_to_apply: function_to_apply ?? (scoreFunction === 'none' ? 'none' : 'sigmoid'),
  };
  return { ...resolved };
}

const defaults = (model: Model): Parameters => resolve(textDetailsOf(model), RerankParameters.parse({}));

function queryOf({ path, value }: Element<RerankInput>, prompt: string): Query {
  const documents = value.documents.map((text, i) => ({ path: `${path}.${formatPath(['documents', i])}`, text }));
  return { path, text: prompt + value.query, documents };
}

function checkCount(rows: number): void {
  const message = `${rows} documents over all queries; one job takes ${MAX_ITEMS}`;
  const faults: Fault[] = rows > MAX_ITEMS ? [{ path: 'input', message }] : [];
  throwFaults(faults);
}

async function run(model: Model, session: SessionPort, rows: readonly Row[]): Promise<(WireOutput | Error)[]> {
  return forwardTexts(model, session, rows, ({ items, outputs }) => {
    const { name } = logitsOutput(model);
    const { values, stride } = floatOutput(outputs[name], name, rows.length);
    return rows.map(({ parameters }, row): WireOutput | Error => {
      const { function_to_apply, return_documents } = parameters as Parameters & Resolved;
      const logits = values.subarray(row * stride, row * stride + 1);
      return finiteOr(logits, (): ScoreOutput => {
        const score = Math.fround(function_to_apply === 'sigmoid' ? sigmoid(logits[0]!) : logits[0]!);
        const text = items[row]!.text;
        return { kind: 'score', score, ...(return_documents && text !== undefined && { text }) };
      });
    });
  });
}

/** Best first, `index` counting from the request's first document. */
function present(_model: Model, parameters: Parameters, outputs: readonly WireOutput[]): RerankOutput {
  const { top_n, return_documents } = parameters as Parameters & Resolved;
  const scored = outputs.map((output, index) => {
    const { score, text }: ScoreOutput = outputOfKind(output, 'score');
    return { index, score: shortest(score), ...(return_documents && text !== undefined && { document: text }) };
  });
  return scored.sort((a, b) => b.score - a.score).slice(0, top_n);
}

export const rerank = { encode, run, defaults, present };
