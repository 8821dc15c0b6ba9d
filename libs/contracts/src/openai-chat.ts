/** `POST /v1/chat/completions`, as OpenAI, vLLM and llama.cpp have it. */
import { z } from 'zod';
import {
  generationFields,
  ignored,
  MOST_LOGPROBS,
  openObject,
  ResponseFormat,
  TextParts,
  unsupported,
} from './openai-generation.js';

const MAX_MESSAGES = 4096;
const MAX_TOOLS = 256;

/** By hand: a union would tell every fault of both, and none of them where it is. */
const Content = z
  .unknown()
  .transform((content, context): string | readonly { readonly type: 'text'; readonly text: string }[] | null => {
    if (content === undefined || content === null) return null;
    if (typeof content === 'string') return content;
    if (!Array.isArray(content)) {
      context.addIssue({ code: 'custom', message: 'give a text, or a list of {"type": "text", "text"} parts' });
      return z.NEVER;
    }
    const parts = TextParts.safeParse(content);
    if (parts.success) return parts.data;
    for (const { message, path } of parts.error.issues) context.addIssue({ code: 'custom', message, path });
    return z.NEVER;
  })
  .meta({
    description: 'The text: one, or text parts that belong together.',
    anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'object' } }, { type: 'null' }],
  });

/** What the model's template makes of further fields is its own business. */
const Message = z.looseObject({
  role: z.string().min(1).max(64).describe('Who speaks: system, user, assistant, tool, …'),
  content: Content,
});

const ToolChoice = z
  .enum(['none', 'auto'], { error: 'is not supported: only "none" and "auto" are' })
  .optional()
  .describe('`none`: the model is not told of the tools.');

const Prediction = openObject({
  type: z
    .literal('content', { error: 'is not supported: only predictions of type content are' })
    .describe('The only kind there is.'),
  content: z
    .union([z.string(), TextParts], { error: 'give a text, or a list of {"type": "text", "text"} parts' })
    .describe('The text, or parts that belong together.'),
});

export const chatFields = {
  ...generationFields,
  messages: z
    .array(Message)
    .min(1, 'give at least one message')
    .max(MAX_MESSAGES)
    .meta({ description: 'The conversation.', examples: [[{ role: 'user', content: 'Where do fish swim?' }]] }),
  max_completion_tokens: z
    .int()
    .min(1)
    .optional()
    .describe('Tokens of each answer at most; as many as there is room for where left out.'),
  max_tokens: z.int().min(1).optional().describe('The older name of `max_completion_tokens`, which wins.'),
  logprobs: z.boolean().default(false).describe('Whether to tell how likely each token was.'),
  top_logprobs: z
    .int()
    .min(0)
    .max(MOST_LOGPROBS.chat)
    .optional()
    .describe('Alternatives of each token; needs `logprobs`.'),
  tools: z
    .array(z.record(z.string(), z.unknown()))
    .max(MAX_TOOLS)
    .optional()
    .describe("Given to the model's chat template; calls come as the text that the model writes."),
  tool_choice: ToolChoice,
  parallel_tool_calls: ignored,
  response_format: ResponseFormat.optional().describe('Only `{"type": "text"}`.'),
  modalities: z
    .array(z.literal('text', { error: 'is not supported: only text is' }))
    .optional()
    .describe('Only `["text"]`.'),
  audio: unsupported('only text is'),
  functions: unsupported('send tools'),
  function_call: unsupported('send tools'),
  web_search_options: unsupported('nothing is looked up'),
  prediction: Prediction.optional().describe(
    'What the answer is likely to be, such as a text to be edited: what of it is right comes faster.',
  ),
  reasoning_effort: ignored,
  verbosity: ignored,
  chat_template_kwargs: z
    .record(z.string(), z.unknown())
    .optional()
    .describe("Variables of the model's chat template."),
  add_generation_prompt: z.boolean().optional().describe('False: the prompt ends with the last message.'),
  continue_final_message: z.boolean().optional().describe('Whether the answer goes on with the last message.'),
} as const;

export const ChatCompletionRequest = openObject(chatFields)
  .refine(({ logprobs, top_logprobs }) => logprobs || top_logprobs === undefined, {
    path: ['top_logprobs'],
    message: 'needs "logprobs": true',
  })
  .describe('A conversation to be gone on with.');
export type ChatCompletionRequest = z.infer<typeof ChatCompletionRequest>;
