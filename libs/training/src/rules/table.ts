/** The rules by operator: `Add`, or `com.microsoft.QuickGelu` of a domain of its own. */
import type { Rule } from '../gradient/tape.js';
import { ACTIVATIONS } from './activations.js';
import { ELEMENTWISE } from './elementwise.js';
import { LAYOUT } from './layout.js';
import { NORMS } from './norms.js';
import { PRODUCTS } from './products.js';
import { REDUCTIONS } from './reductions.js';
import { ROTARY } from './rotary.js';
import { ROWS, SCATTERS } from './rows.js';
import { SOFTMAX } from './softmax.js';

export const RULES: ReadonlyMap<string, Rule> = new Map(
  [ELEMENTWISE, ACTIVATIONS, PRODUCTS, REDUCTIONS, SOFTMAX, NORMS, ROWS, SCATTERS, LAYOUT, ROTARY].flatMap((rules) =>
    Object.entries(rules),
  ),
);

/** Operators whose outputs do not change with their inputs by small steps: numbers of things, comparisons, whole numbers. */
export const STOPS: ReadonlySet<string> = new Set([
  ...['Shape', 'Size', 'NonZero', 'ArgMax', 'ArgMin'],
  ...['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'Not', 'And', 'Or', 'Xor', 'IsNaN', 'IsInf'],
  ...['Sign', 'Floor', 'Ceil', 'Round', 'ConstantOfShape'],
]);
