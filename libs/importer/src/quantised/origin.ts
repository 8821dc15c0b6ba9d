/** What the weights of a quantised matrix are, for people. */
import type { Matrix } from '../matrix.js';

/** `GPTQ int4, groups of 128`. */
export function originOf(method: string, { kept }: Matrix, bits: 4 | 8, group: number, inputs: number): string {
  const scales = group < inputs ? `groups of ${group}` : 'a scale for each output';
  const order = kept?.order === undefined ? '' : ', inputs in an order of their own';
  return `${method} int${bits}, ${scales}${order}`;
}
