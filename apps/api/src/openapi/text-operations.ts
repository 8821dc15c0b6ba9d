/** Chat and legacy completions, as OpenAI's clients call them. */
import { ADMISSION_ERRORS } from './job-operations.js';
import { type Operation, type Operations, type Parameter, query } from './operation.js';
import { TEXT_EVENTS } from './text-examples.js';
import { VARIANT_HEADERS } from './variant-headers.js';

export interface TextExamples {
  readonly chats: Readonly<Record<string, unknown>>;
  readonly prompts: Readonly<Record<string, unknown>>;
}

const CALL_ERRORS = [...ADMISSION_ERRORS, 'model_changed', 'wait_timeout'] as const;
const READ_ERRORS = [
  ...(['job_not_found', 'invalid_request', 'inference_failed', 'worker_crashed'] as const),
  ...(['cancelled', 'expired', 'wait_timeout', 'redis_unavailable'] as const),
];

const stream = { mediaType: 'text/event-stream', example: TEXT_EVENTS };

const LIFE =
  'With `stream`, the answer comes as server-sent events: `data` is a chunk, and the last is `[DONE]`; where something fails in the middle, a chunk with `error` comes before it. Who hangs up ends the answer, unless it was asked for with `store`: then it is kept as jobs are, `Location` has its path, and events have ids to go on from. Fields that are not known are passed over.';

interface Names {
  readonly create: string;
  readonly read: string;
  readonly remove: string;
  readonly prefix: string;
}

function operationsOf(
  { create, read, remove, prefix }: Names,
  {
    whole,
    chunk,
    body,
    summary,
  }: {
    readonly whole: 'ChatCompletion' | 'Completion';
    readonly chunk: 'ChatCompletionChunk' | 'CompletionChunk';
    readonly body: NonNullable<Operation['body']>;
    readonly summary: string;
  },
): [collection: Operations[string], one: Operations[string]] {
  const id: Parameter = {
    in: 'path',
    name: 'id',
    description: 'The id of an answer that was asked for with `store`.',
    schema: { type: 'string' },
    example: `${prefix}my-generator.1.fp32.0.01m83zn5fqbsmkqgj7c913jd4z`,
  };
  const ofStream = [
    query('stream', 'Whether to send events; else what `Accept` says.', { type: 'boolean' }),
    query('include_usage', 'Whether the last event tells what the call took.', { type: 'boolean' }),
    {
      in: 'header',
      name: 'Last-Event-ID',
      description: 'The id of the last event that the reader had.',
      schema: { type: 'string' },
    } as const,
  ];
  return [
    {
      post: {
        id: create,
        tag: 'OpenAI',
        summary,
        description: LIFE,
        body,
        answers: {
          200: { description: 'The answers.', schemas: [whole, chunk], headers: VARIANT_HEADERS, text: stream },
        },
        errors: [...CALL_ERRORS, 'cancelled', 'expired'],
        face: 'openai',
      },
    },
    {
      get: {
        id: read,
        tag: 'OpenAI',
        summary: 'Read a kept answer, or its stream from where it was cut off',
        description:
          'The whole answer as soon as it is there; or, for a reader that accepts `text/event-stream`, its events behind the last one that it had, at any replica.',
        parameters: [id, ...ofStream],
        answers: {
          200: { description: 'The answers.', schemas: [whole, chunk], headers: VARIANT_HEADERS, text: stream },
        },
        errors: READ_ERRORS,
        face: 'openai',
      },
      delete: {
        id: remove,
        tag: 'OpenAI',
        summary: 'Erase a kept answer',
        description: 'Ends it where it still grows; nothing of it is left.',
        parameters: [id],
        answers: { 200: { description: 'It is gone.', schemas: ['Removed'] } },
        errors: ['job_not_found', 'redis_unavailable'],
        face: 'openai',
      },
    },
  ];
}

export function textOperations({ chats, prompts }: TextExamples): Operations {
  const [chat, oneChat] = operationsOf(
    { create: 'createChatCompletion', read: 'getChatCompletion', remove: 'deleteChatCompletion', prefix: 'chatcmpl-' },
    {
      whole: 'ChatCompletion',
      chunk: 'ChatCompletionChunk',
      body: { schemas: ['ChatCompletionRequest'], examples: chats },
      summary: 'Answer a conversation, as OpenAI does',
    },
  );
  const [completions, oneCompletion] = operationsOf(
    { create: 'createCompletion', read: 'getCompletion', remove: 'deleteCompletion', prefix: 'cmpl-' },
    {
      whole: 'Completion',
      chunk: 'CompletionChunk',
      body: { schemas: ['CompletionRequest'], examples: prompts },
      summary: 'Go on with texts or token arrays, as OpenAI did before conversations',
    },
  );
  return {
    '/v1/chat/completions': chat,
    '/v1/chat/completions/{id}': oneChat,
    '/v1/completions': completions,
    '/v1/completions/{id}': oneCompletion,
  };
}
