/** Conversations as the texts that models were trained on. */
import { Template } from '@huggingface/jinja';
import { type Conversation, ShoalError } from '@shoal/contracts';

/** @throws ShoalError `invalid_request` with what the template itself says against the conversation */
export function renderChat(
  template: string,
  specialTokens: Readonly<Record<string, string>>,
  { messages, tools, chat_template_kwargs, add_generation_prompt, continue_final_message }: Conversation,
): string {
  try {
    return new Template(template).render({
      ...specialTokens,
      ...chat_template_kwargs,
      messages,
      ...(tools && { tools }),
      add_generation_prompt: add_generation_prompt ?? !continue_final_message,
    });
  } catch (cause) {
    throw new ShoalError('invalid_request', cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
