/** One operation of the document: what it takes and every answer it has, errors from the one table included. */
import { ERRORS, type ErrorCode, ShoalError } from '@shoal/contracts';
import { problemOf } from '../http/problem.js';
import { openAiErrorOf, openAiStatusOf } from '../openai/openai-error.js';
import { ref, type SchemaName } from './components.js';

export type Method = 'get' | 'post' | 'patch' | 'delete';

/** Path → method → what it does. */
export type Operations = Readonly<Record<string, Partial<Record<Method, Operation>>>>;

export interface Operation {
  readonly id: string;
  readonly tag: 'Jobs' | 'Webhooks' | 'OpenAI' | 'Health';
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly Parameter[];
  readonly body?: { readonly schema: SchemaName; readonly examples: Readonly<Record<string, unknown>> };
  /** Status → what it means and what it holds. */
  readonly answers: Readonly<Record<number, Answer>>;
  readonly errors: readonly ErrorCode[];
  /** OpenAI's shape instead of problem details. */
  readonly openAi?: boolean;
}

interface Answer {
  readonly description: string;
  /** Of an answer in JSON. */
  readonly schema?: SchemaName;
  /** Of any other answer. */
  readonly mediaType?: string;
}

export interface Parameter {
  readonly in: 'query' | 'header' | 'path';
  readonly name: string;
  readonly description: string;
  readonly schema: unknown;
}

export function query(name: string, description: string, schema: unknown): Parameter {
  return { in: 'query', name, description, schema };
}

/** What any request with a body can be answered with. */
const BODY_ERRORS: readonly ErrorCode[] = [
  'malformed_body',
  'body_too_deep',
  'body_too_large',
  'body_too_slow',
  'unsupported_media_type',
  'invalid_request',
];

export function toOpenApi(operation: Operation) {
  const { id, tag, summary, description, parameters = [], body } = operation;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description && { description }),
    parameters: parameters.map((parameter) => ({ ...parameter, required: parameter.in === 'path' })),
    ...(body && { requestBody: { required: true, content: { 'application/json': contentOf(body) } } }),
    responses: { ...answersOf(operation), ...errorsOf(operation) },
  };
}

function contentOf({ schema, examples }: NonNullable<Operation['body']>) {
  const named = Object.entries(examples).map(([name, value]) => [name, { value }]);
  return { schema: ref(schema), examples: Object.fromEntries(named) };
}

function answersOf({ answers }: Operation) {
  const entries = Object.entries(answers).map(([status, { description, schema, mediaType }]) => {
    const json = schema && { 'application/json': { schema: ref(schema) } };
    const text = mediaType && { [mediaType]: { schema: { type: 'string' } } };
    return [status, { description, ...((json || text) && { content: { ...json, ...text } }) }];
  });
  return Object.fromEntries(entries);
}

/** Errors by status: several codes share one. */
function errorsOf({ errors, body, openAi = false }: Operation) {
  const responses: Record<number, { description: string; content: object }> = {};
  const byStatus = new Map<number, ShoalError[]>();
  for (const code of new Set([...errors, ...(body ? BODY_ERRORS : [])])) {
    const error = new ShoalError(code, ERRORS[code].title);
    const status = openAi ? openAiStatusOf(error) : error.status;
    byStatus.set(status, [...(byStatus.get(status) ?? []), error]);
  }
  for (const [status, list] of byStatus) {
    const examples = list.map((error) => [
      error.code,
      { value: openAi ? openAiErrorOf(error) : problemOf(error, 'c5f6…') },
    ]);
    responses[status] = {
      description: list.map((error) => `\`${error.code}\`: ${error.title}`).join('; '),
      content: {
        [openAi ? 'application/json' : 'application/problem+json']: {
          schema: ref(openAi ? 'OpenAiError' : 'Problem'),
          examples: Object.fromEntries(examples),
        },
      },
    };
  }
  return responses;
}
