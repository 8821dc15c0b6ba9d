import { readFileSync } from 'node:fs';
import type { Conversation } from '@shoal/contracts';
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

function refusalOf(template: string, conversation: Conversation, maxLength = 1000): string {
  const rendered = chatTemplate(template, specialTokens).render(conversation, maxLength);
  if ('refused' in rendered) return rendered.refused;
  throw new Error('It was not refused.');
}

describe('chatTemplate', () => {
  it.each(rendered.map((one, n) => [n, one.template, one] as const))(
    'renders as transformers does: %i, %s',
    (...args) => {
      const [, template, { conversation, text }] = args;
      expect(chatTemplate(templates[template]!, specialTokens).render(conversation, 10_000)).toEqual({ text });
    },
  );

  it('tells what the template raises', () => {
    const refused = refusalOf(templates.Mistral!, { messages: [...messages, ...messages] });
    expect(refused).toContain('Conversation roles must alternate');
  });

  it('refuses what becomes too long, and what cannot be gone on with', () => {
    expect(refusalOf(templates.Phi!, { messages }, 10)).toContain('too long');
    const silent = refusalOf('nothing', { messages, continue_final_message: true });
    expect(silent).toContain('does not print the last one');
    const empty = refusalOf(templates.Phi!, { messages: [{ role: 'assistant' }], continue_final_message: true });
    expect(empty).toContain('no content to go on with');
  });

  it('lets no argument of a caller stand for the messages', () => {
    const conversation = { messages, chat_template_kwargs: { messages: [], add_generation_prompt: false } };
    const text = '<|user|>\nHi<|end|>\n<|assistant|>\n';
    expect(chatTemplate(templates.Phi!, {}).render(conversation, 100)).toEqual({ text });
  });
});
