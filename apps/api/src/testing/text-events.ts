/** Streams of chat and legacy completions as they are on the wire, for tests that look at every event. */
import { expect } from 'vitest';
import type { z } from 'zod';
import { OpenAiErrorSchema } from '../openapi/openai-answers.js';

export interface TextEvent {
  readonly id: string | undefined;
  readonly data: string;
}

/** The events of a body, comments left out. */
export function textEvents(body: string): TextEvent[] {
  expect(body).toMatch(/\n\n$/);
  return body
    .slice(0, -2)
    .split('\n\n')
    .filter((block) => !block.startsWith(':'))
    .map((block) => {
      const [, id, data] = /^(?:id: (.+)\n)?data: (.+)$/.exec(block) ?? [];
      if (data === undefined) throw new Error(`no event: ${block}`);
      return { id, data };
    });
}

/** What a stream told, each event checked; the last is `[DONE]`, and is left out. */
export function checkedChunks<Schema extends z.ZodType>(schema: Schema, body: string): z.output<Schema>[] {
  const events = textEvents(body);
  expect(events.pop()?.data).toBe('[DONE]');
  return events.map(({ data }) => schema.parse(JSON.parse(data)));
}

/** The error that ends a stream in the middle. */
export function errorAtEnd(body: string) {
  const [error, done] = textEvents(body).slice(-2);
  expect(done?.data).toBe('[DONE]');
  return OpenAiErrorSchema.parse(JSON.parse(error!.data)).error;
}
