/** What every schema of a request shares: null is "not given", unknown fields are faults, and lists have an end. */
import { z } from 'zod';

/** Longest list of token ids: no model takes more. */
const MAX_TOKEN_IDS = 131_072;

/**
 * An object that a caller sends. A field that is null counts as left out, since clients of typed languages send null for what
 * nobody set; a field that is not in `shape` is a fault.
 */
export function requestObject<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.preprocess(withoutNulls, z.strictObject(shape));
}

/** Without the fields that are null, which count as left out. */
export function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const fields = Object.entries(value);
  return fields.some(isNull) ? Object.fromEntries(fields.filter((field) => !isNull(field))) : value;
}

function isNull([, value]: [name: string, value: unknown]): boolean {
  return value === null;
}

/** A list of 1 to `max` elements. One that is longer is refused before its elements are looked at. */
export function listOf<Element extends z.ZodType>(element: Element, max: number, what = 'entries') {
  const fault = `give 1 to ${max} ${what}`;
  const checkLength = (value: unknown, context: z.RefinementCtx) => {
    if (!Array.isArray(value) || value.length <= max) return value;
    context.addIssue({ code: 'custom', message: fault });
    return z.NEVER;
  };
  return z.preprocess(checkLength, z.array(element).min(1, fault).max(max));
}

/** Token ids, refused at the first that is none: a list of a million faults would help nobody. */
export const TokenIds = z.preprocess(
  (value, context) => {
    const fault = Array.isArray(value) ? tokenFault(value) : null;
    if (fault === null) return value;
    context.addIssue({ code: 'custom', ...fault });
    return z.NEVER;
  },
  z.array(z.int().min(0)).min(1).max(MAX_TOKEN_IDS),
);

/** What is wrong with a list of token ids, and where; null where nothing is. */
export function tokenFault(ids: readonly unknown[]): { readonly message: string; readonly path: number[] } | null {
  if (ids.length === 0 || ids.length > MAX_TOKEN_IDS) {
    return { message: `give 1 to ${MAX_TOKEN_IDS} token ids`, path: [] };
  }
  const wrong = ids.findIndex((id) => !Number.isSafeInteger(id) || (id as number) < 0);
  return wrong < 0 ? null : { message: 'token ids are whole numbers from 0', path: [wrong] };
}
