import { readFileSync } from 'node:fs';
import { type Conversation, ShoalError } from '@shoal/contracts';
import { describe, expect, it } from 'vitest';
import { chatTemplate } from './chat-template.js';

interface Rendered {
  readonly template: string;
  readonly conversation: Conversation;
  readonly text: string;
}

/** Templates in the style of well-known families, and what Python makes of them. */
const { specialTokens, templates, rendered } = JSON.parse(
  readFileSync(new URL('fixtures/chat-templates.json', import.meta.url), 'utf8'),
) as { specialTokens: Record<string, string>; templates: Record<string, string>; rendered: Rendered[] };

const messages = [{ role: 'user', content: 'Hi' }];

function fault(template: string, conversation: Conversation, maxLength = 1000): ShoalError {
  try {
    chatTemplate(template, specialTokens).render(conversation, maxLength);
  } catch (error) {
    if (error instanceof ShoalError) return error;
  }
  throw new Error('It was not refused.');
}

describe('chatTemplate', () => {
  it.each(rendered.map((one, n) => [n, one.template, one] as const))(
    'renders as transformers does: %i, %s',
    (...args) => {
      const [, template, { conversation, text }] = args;
      expect(chatTemplate(templates[template]!, specialTokens).render(conversation, 10_000)).toBe(text);
    },
  );

  it('tells what the template raises, as a fault of the messages', () => {
    const { code, faults } = fault(templates.Mistral!, { messages: [...messages, ...messages] });
    expect(code).toBe('invalid_request');
    expect(faults[0]!.path).toBe('messages');
    expect(faults[0]!.message).toContain('Conversation roles must alternate');
  });

  it('refuses what becomes too long, and what cannot be gone on with', () => {
    expect(fault(templates.Phi!, { messages }, 10).message).toContain('too long');
    const silent = fault('nothing', { messages, continue_final_message: true });
    expect(silent.message).toContain('does not print the last one');
    const empty = fault(templates.Phi!, { messages: [{ role: 'assistant' }], continue_final_message: true });
    expect(empty.message).toContain('no content to go on with');
  });

  it('lets no argument of a caller stand for the messages', () => {
    const conversation = { messages, chat_template_kwargs: { messages: [], add_generation_prompt: false } };
    expect(chatTemplate(templates.Phi!, {}).render(conversation, 100)).toBe('<|user|>\nHi<|end|>\n<|assistant|>\n');
  });
});
