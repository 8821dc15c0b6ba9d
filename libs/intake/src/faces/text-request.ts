/** Requests for generated texts as the one job that each is, and refusals of that job in the words of the request. */
import {
  ChatCompletionRequest,
  CompletionRequest,
  chatFields,
  completionFields,
  countUnknown,
  type OpenAiInput,
  type Priority,
  parse,
  SAMPLING_FIELDS,
  type Task,
} from '@shoal/contracts';

export const TEXT_TASK: Task = 'text-generation';

/** What was asked for. */
export interface TextRequest {
  /** The body of `POST /v1/jobs`. */
  readonly job: object;
  readonly stream: boolean;
  /** Whether a stream ends with what it took. */
  readonly usage: boolean;
  /** Whether the answer outlives the call. */
  readonly kept: boolean;
  /** Fields that nobody knows. */
  readonly unknown: number;
  /** Paths of a job's fields → those of the request. */
  readonly rename: (text: string) => string;
}

export function readChat(body: unknown): TextRequest {
  const request = parse(ChatCompletionRequest, body);
  const { messages, tools, tool_choice, chat_template_kwargs, add_generation_prompt, continue_final_message } = request;
  const { max_completion_tokens, max_tokens, logprobs, top_logprobs = 0, prediction } = request;
  const conversation = {
    messages,
    ...(tool_choice !== 'none' && { tools }),
    ...{ chat_template_kwargs, add_generation_prompt, continue_final_message },
  };
  const most = max_completion_tokens ?? max_tokens;
  const limit = max_completion_tokens === undefined ? 'max_tokens' : 'max_completion_tokens';
  return {
    ...common(request, [conversation], {
      ...{ max_tokens: most, logprobs: logprobs ? top_logprobs : undefined },
      prediction: prediction && textOf(prediction.content),
    }),
    unknown: countUnknown(chatFields, body as object),
    rename: (text) =>
      text
        .replaceAll(/\binput\[0\]\.(?=messages|tools|chat_template_kwargs|add_|continue_)/g, '')
        .replaceAll(/\binput\[0\]/g, 'messages')
        .replace(/\bsend a text$/, 'send a text to POST /v1/completions')
        .replaceAll(/\bmax_tokens\b/g, limit)
        .replaceAll(/\blogprobs\b/g, 'top_logprobs'),
  };
}

export function readCompletion(body: unknown): TextRequest {
  const request = parse(CompletionRequest, body);
  const { prompt, max_tokens, logprobs, echo } = request;
  const many = Array.isArray(prompt);
  const inputs: readonly OpenAiInput[] = many ? prompt : [prompt as OpenAiInput];
  return {
    ...common(request, inputs, { max_tokens, logprobs, echo }),
    unknown: countUnknown(completionFields, body as object),
    rename: (text) =>
      text.replaceAll(/\binput\[(\d+)\]/g, many ? 'prompt[$1]' : 'prompt').replaceAll(/\.tokens\b/g, ''),
  };
}

function common(
  request: ChatCompletionRequest | CompletionRequest,
  input: readonly unknown[],
  parameters: Readonly<Record<string, unknown>>,
): Omit<TextRequest, 'unknown' | 'rename'> {
  const { model, max_accuracy_loss, stream, stream_options, store, metadata, priority } = request;
  const sampling = Object.fromEntries(SAMPLING_FIELDS.map((name) => [name, request[name]]));
  return {
    job: {
      model,
      task: TEXT_TASK,
      input,
      parameters: given({ ...sampling, ...parameters }),
      max_accuracy_loss,
      priority: priorityOf(priority),
      ...(metadata && { metadata }),
    },
    stream,
    usage: stream_options?.include_usage ?? false,
    kept: store,
  };
}

/** Undefined where there is nothing in it. */
function textOf(content: string | readonly { readonly text: string }[]): string | undefined {
  const text = typeof content === 'string' ? content : content.map((part) => part.text).join('');
  return text === '' ? undefined : text;
}

/** vLLM's: the lower, the earlier. */
function priorityOf(priority: number): Priority {
  if (priority === 0) return 'normal';
  return priority < 0 ? 'high' : 'low';
}

function given(fields: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
