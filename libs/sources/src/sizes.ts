/** A bound of what is pulled, and how it is told. */
import { sizeOf } from '@shoal/contracts';
import { unavailable } from './faults.js';

/** @throws ShoalError `source_unavailable` where what is called `title` has more than `most` bytes */
export function refuseLarger(title: string, bytes: number, most: number): void {
  if (bytes <= most) return;
  const words = [sizeOf(bytes), sizeOf(most)];
  // Rounded they may be the same.
  const [has, allowed] = words[0] === words[1] ? [`${bytes} bytes`, `${most} bytes`] : words;
  throw unavailable(`${title} has ${has}, and --max-size allows ${allowed}.`);
}
