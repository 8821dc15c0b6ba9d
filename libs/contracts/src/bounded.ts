/** Lists and maps that a caller sends. One that is too long is refused before what it holds is looked at. */
import { z } from 'zod';

/** Up to `max` elements, or none. */
export function listUpTo<Element extends z.ZodType>(element: Element, max: number) {
  const checkLength = (list: unknown, context: z.RefinementCtx) => {
    if (!Array.isArray(list) || list.length <= max) return list;
    context.addIssue({ code: 'custom', message: `give at most ${max}` });
    return z.NEVER;
  };
  return z.preprocess(checkLength, z.array(element).max(max));
}

/** Up to `max` entries, whose names have at most `nameLength` characters. */
export function mapOf<Value extends z.ZodType>(value: Value, max: number, nameLength: number) {
  const checkSize = (map: unknown, context: z.RefinementCtx) => {
    if (typeof map !== 'object' || map === null || Object.keys(map).length <= max) return map;
    context.addIssue({ code: 'custom', message: `at most ${max} entries` });
    return z.NEVER;
  };
  return z.preprocess(checkSize, z.record(z.string().max(nameLength), value));
}
