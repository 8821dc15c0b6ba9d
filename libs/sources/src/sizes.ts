/** Sizes for people. */
import { unavailable } from './faults.js';

export function sizeOf(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(bytes < 1e10 ? 2 : 1)} GB`;
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
  return bytes >= 1e4 ? `${(bytes / 1e3).toFixed(0)} kB` : `${bytes} bytes`;
}

/** @throws ShoalError `source_unavailable` where what is called `title` has more than `most` bytes */
export function refuseLarger(title: string, bytes: number, most: number): void {
  if (bytes <= most) return;
  const words = [sizeOf(bytes), sizeOf(most)];
  // Rounded they may be the same.
  const [has, allowed] = words[0] === words[1] ? [`${bytes} bytes`, `${most} bytes`] : words;
  throw unavailable(`${title} has ${has}, and --max-size allows ${allowed}.`);
}
