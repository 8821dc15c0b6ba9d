/** Conversations as a model's chat template renders them, the way `apply_chat_template` of transformers does. */
import { Template } from '@huggingface/jinja';
import type { Conversation } from '@shoal/contracts';

type Message = Readonly<Record<string, unknown>>;

/** Marks where the message ends that the answer is to go on with. The blank tells whether the template trims it. */
const MARK = 'CONTINUE_FINAL_MESSAGE_TAG ';
/** Names of a message's thoughts, the one that templates read first. */
const REASONING = ['reasoning_content', 'thinking', 'reasoning'];

/** What a template makes of a conversation, or why it takes it not: words that go on from "messages:". */
export type Rendered = { readonly text: string } | { readonly refused: string };

export interface ChatTemplate {
  /** The text of a prompt, special tokens included: it is tokenised without adding any. `maxLength`: in UTF-16 units. */
  render(conversation: Conversation, maxLength: number): Rendered;
}

/** Parses a template once. `specialTokens`: what it calls `bos_token`, ... Throws what is wrong with it. */
export function chatTemplate(source: string, specialTokens: Readonly<Record<string, string>>): ChatTemplate {
  const template = new Template(source);
  return {
    render(conversation, maxLength) {
      const { continue_final_message: goesOn = false, tools } = conversation;
      const messages = conversation.messages.map(plain);
      const last = goesOn ? marked(messages) : undefined;
      if (last === null) return { refused: 'the last one has no content to go on with' };
      let text: string;
      try {
        text = template.render({
          ...specialTokens,
          ...conversation.chat_template_kwargs,
          messages,
          tools: tools ?? null,
          documents: null,
          // As OpenAI's and vLLM's chats: an answer is wanted.
          add_generation_prompt: conversation.add_generation_prompt ?? !goesOn,
        });
      } catch (cause) {
        return { refused: `the chat template refuses them: ${cause instanceof Error ? cause.message : String(cause)}` };
      }
      if (text.length > maxLength) {
        return { refused: `are too long: rendered, they have more than ${maxLength} characters` };
      }
      return last === undefined ? { text } : upToMark(text, last);
    },
  };
}

/** Without nulls, which many templates would print; thoughts under the name that templates read. */
function plain(message: Message): Record<string, unknown> {
  const given = Object.fromEntries(Object.entries(message).filter(([, value]) => value != null));
  const name = REASONING.find((key) => given[key] !== undefined);
  return name === undefined ? given : { thinking: given[name], ...given, reasoning_content: given[name] };
}

/** Puts the mark behind the last message's text, which is returned; null where it has none. */
function marked(messages: Record<string, unknown>[]): string | null {
  const last = messages.at(-1)!;
  const { content } = last;
  if (typeof content === 'string') {
    last.content = content + MARK;
    return content;
  }
  const parts = Array.isArray(content) ? (content as { readonly text: string }[]) : [];
  const part = parts.at(-1);
  if (part === undefined) return null;
  last.content = [...parts.slice(0, -1), { ...part, text: part.text + MARK }];
  return part.text;
}

function upToMark(text: string, message: string): Rendered {
  const end = text.lastIndexOf(MARK.trim());
  if (end < 0 || !text.includes(message.trim())) {
    return { refused: 'the chat template does not print the last one as it is' };
  }
  return { text: text.startsWith(MARK, end) ? text.slice(0, end) : text.slice(0, end).trimEnd() };
}
