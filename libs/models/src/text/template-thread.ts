/** The thread of a chat template: renders one conversation after the other. A template may take for ever; its caller sees to that. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { Conversation } from '@shoal/contracts';
import { type ChatTemplate, chatTemplate, type Rendered } from './chat-template.js';

export interface TemplateSource {
  readonly source: string;
  readonly specialTokens: Readonly<Record<string, string>>;
}

export interface RenderOrder {
  readonly id: number;
  /** JSON: it is copied in one piece, and its length is known. */
  readonly conversation: string;
  /** Of the text, in UTF-16 units. */
  readonly maxLength: number;
}

export type FromTemplateThread = 'ready' | { readonly id: number; readonly rendered: Rendered };

const { source, specialTokens } = workerData as TemplateSource;
const port: MessagePort = parentPort!;
let template: ChatTemplate | undefined;

port.on('message', ({ id, conversation, maxLength }: RenderOrder) => {
  tell({ id, rendered: render(JSON.parse(conversation) as Conversation, maxLength) });
});
tell('ready');

function render(conversation: Conversation, maxLength: number): Rendered {
  try {
    // Not before the first order: parsing may take as long as rendering.
    template ??= chatTemplate(source, specialTokens);
    return template.render(conversation, maxLength);
  } catch {
    return { refused: 'the chat template fails' };
  }
}

function tell(message: FromTemplateThread): void {
  port.postMessage(message);
}
