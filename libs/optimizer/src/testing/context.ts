/** What tests give methods to work with: the same numbers each time, and nobody is told anything. */
import type { Runtime } from '@shoal/onnxruntime';
import { seededRandom } from '@shoal/training';
import type { Context } from '../types.js';

export function contextOf(runtime: Runtime, signal: Context['signal'] = new AbortController().signal): Context {
  return {
    ...{ runtime, signal, random: seededRandom(1), now: () => performance.now() },
    say: () => undefined,
    onProgress: () => undefined,
  };
}
