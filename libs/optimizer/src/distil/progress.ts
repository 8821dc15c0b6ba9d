import type { Context } from '../types.js';

/** Tells how far one part of the work is, from `from` to `to` of the whole. */
export function part({ onProgress }: Pick<Context, 'onProgress'>, from: number, to: number): (share: number) => void {
  return (share) => onProgress(from + (to - from) * share);
}
