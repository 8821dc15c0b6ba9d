/** Texts or token arrays, one or many, as OpenAI's `input` and `prompt` have them. */
import { z } from 'zod';
import { tokenFault } from './request.js';

/** One text or one token array. */
export type OpenAiInput = string | { readonly tokens: readonly number[] };

/**
 * A text, a token array, or a list of 1 to `max` of either. By hand: a union of schemas would look at a list of a million
 * numbers as texts first, and tell a million faults.
 */
export function textsOrTokens(max: number, meta: { readonly description: string; readonly examples: unknown[] }) {
  const inputFault = `give a text, a token array, or an array of 1 to ${max} of either`;
  return z
    .unknown()
    .transform((input, context): OpenAiInput | readonly OpenAiInput[] => {
      const fault = (message: string, path: number[] = []) => {
        context.addIssue({ code: 'custom', message, path });
        return z.NEVER;
      };
      if (input === undefined) return fault('required');
      const many = Array.isArray(input) && typeof input[0] !== 'number';
      const entries: readonly unknown[] = many ? input : [input];
      if (entries.length === 0 || entries.length > max) return fault(inputFault);
      const read: OpenAiInput[] = [];
      for (const [index, entry] of entries.entries()) {
        const at = many ? [index] : [];
        if (entry === '') return fault('must not be empty', at);
        if (typeof entry === 'string') {
          read.push(entry);
        } else if (Array.isArray(entry)) {
          const wrong = tokenFault(entry);
          if (wrong !== null) return fault(wrong.message, [...at, ...wrong.path]);
          read.push({ tokens: entry as number[] });
        } else {
          return fault(inputFault, at);
        }
      }
      return many ? read : read[0]!;
    })
    .meta({
      ...meta,
      anyOf: [
        { type: 'string', minLength: 1 },
        { type: 'array', minItems: 1, maxItems: max, items: { type: 'string', minLength: 1 } },
        { type: 'array', minItems: 1, items: { type: 'integer', minimum: 0 } },
        {
          type: 'array',
          minItems: 1,
          maxItems: max,
          items: { type: 'array', minItems: 1, items: { type: 'integer', minimum: 0 } },
        },
      ],
    });
}
