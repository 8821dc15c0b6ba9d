/** One operation of the document: what it takes and every answer it has, errors from the one table included. */
import { ERRORS, type ErrorCode, ShoalError } from '@shoal/contracts';
import { problemOf } from '../http/problem.js';
import { type Face, textsErrorOf } from '../openai/faces.js';
import { openAiErrorOf, openAiStatusOf } from '../openai/openai-error.js';
import { type AnswerName, EXAMPLES, type RequestName, ref } from './components.js';

export type Method = 'get' | 'post' | 'patch' | 'delete';

/** Path → method → what it does. */
export type Operations = Readonly<Record<string, Partial<Record<Method, Operation>>>>;

export interface Operation {
  readonly id: string;
  readonly tag: 'Jobs' | 'Webhooks' | 'OpenAI' | 'Rerank' | 'Health';
  readonly summary: string;
  readonly description: string;
  readonly parameters?: readonly Parameter[];
  /** One shape, or any of several. */
  readonly body?: {
    /** JSON where left out. */
    readonly mediaType?: string;
    readonly schemas: readonly RequestName[];
    readonly examples: Readonly<Record<string, unknown>>;
  };
  /** Status → what it means and what it holds. */
  readonly answers: Readonly<Record<number, Answer>>;
  readonly errors: readonly ErrorCode[];
  /** Whose shape errors have; problem details where left out. */
  readonly face?: Face;
}

interface Answer {
  readonly description: string;
  /** Of an answer in JSON: one shape, or any of several. */
  readonly schemas?: readonly AnswerName[];
  /** Header → what it tells. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Of any other answer. */
  readonly text?: { readonly mediaType: string; readonly example: string };
}

interface Described {
  readonly name: string;
  readonly description: string;
  readonly schema: unknown;
}

/** Whoever tries the page out sends every `example`, so only what must be there has one. */
export type Parameter = Described &
  ({ readonly in: 'path'; readonly example: unknown } | { readonly in: 'query' | 'header' });

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

const TEXT = { type: 'string' } as const;
const REQUEST_ID = 'c5f6b7a2-0f0e-4c7e-9a55-8f1d6b1f0a11';

export function toOpenApi(operation: Operation) {
  const { id, tag, summary, description, parameters = [], body } = operation;
  return {
    operationId: id,
    tags: [tag],
    summary,
    description,
    parameters: parameters.map((parameter) => ({ ...parameter, required: parameter.in === 'path' })),
    ...(body && {
      requestBody: { required: true, content: { [body.mediaType ?? 'application/json']: contentOf(body) } },
    }),
    responses: { ...answersOf(operation), ...errorsOf(operation) },
  };
}

function contentOf({ schemas, examples }: NonNullable<Operation['body']>) {
  return { schema: oneOf(schemas), examples: named(Object.entries(examples)) };
}

function oneOf(schemas: readonly Parameters<typeof ref>[0][]) {
  const [first, ...others] = schemas.map(ref);
  return others.length === 0 ? first : { anyOf: [first, ...others] };
}

function named(examples: readonly (readonly [name: string, value: unknown])[]) {
  return Object.fromEntries(examples.map(([name, value]) => [name, { value }]));
}

function answersOf({ answers }: Operation) {
  const entries = Object.entries(answers).map(([status, { description, schemas, headers, text }]) => {
    const json = schemas && {
      'application/json': {
        schema: oneOf(schemas),
        examples: named(schemas.map((schema) => [schema, EXAMPLES[schema]] as const)),
      },
    };
    const plain = text && { [text.mediaType]: { schema: { type: 'string' }, example: text.example } };
    const told = headers && Object.entries(headers).map(([name, what]) => [name, { description: what, schema: TEXT }]);
    return [
      status,
      {
        description,
        ...(told && { headers: Object.fromEntries(told) }),
        ...((json || plain) && { content: { ...json, ...plain } }),
      },
    ];
  });
  return Object.fromEntries(entries);
}

/** Errors by status: several codes share one. */
function errorsOf({ errors, body, face = 'native' }: Operation) {
  const responses: Record<number, { description: string; content: object }> = {};
  const byStatus = new Map<number, ShoalError[]>();
  for (const code of new Set([...errors, ...(body ? BODY_ERRORS : [])])) {
    const error = new ShoalError(code, ERRORS[code].title);
    const status = face === 'openai' ? openAiStatusOf(error) : error.status;
    byStatus.set(status, [...(byStatus.get(status) ?? []), error]);
  }
  const { mediaType, schema, show } = SHAPES[face];
  for (const [status, list] of byStatus) {
    responses[status] = {
      description: list.map((error) => `\`${error.code}\`: ${error.title}`).join('; '),
      content: {
        [mediaType]: { schema: ref(schema), examples: named(list.map((error) => [error.code, show(error)] as const)) },
      },
    };
  }
  return responses;
}

const SHAPES = {
  native: {
    mediaType: 'application/problem+json',
    schema: 'Problem',
    show: (error: ShoalError) => problemOf(error, REQUEST_ID),
  },
  openai: { mediaType: 'application/json', schema: 'OpenAiError', show: openAiErrorOf },
  texts: { mediaType: 'application/json', schema: 'TextsError', show: textsErrorOf },
} as const;
