import { shuffled } from '@shoal/training';

/** Of the rows, and at most. */
const HELD_OUT = 0.1;
const MOST_HELD_OUT = 2000;

/** Places of rows that are held out, a tenth of them, and of the rest, in no order. `random`: from 0 to 1. */
export function split(count: number, random: () => number): [heldOut: number[], rest: number[]] {
  const order = shuffled(Array(count).keys(), random);
  const held = Math.min(MOST_HELD_OUT, Math.max(1, Math.round(HELD_OUT * count)));
  return [order.slice(0, held), order.slice(held)];
}
