/** Tries an imported decoder: it loads, and predicts what follows a few texts. */

import { DecoderPasses, KvCache } from '@shoal/generation';
import { type DecoderInfo, readDecoderInfo, sessionModel } from '@shoal/models';
import type { Runtime } from '@shoal/onnxruntime';
import { invalid } from '../invalid.js';
import type { Answers } from './verify.js';

/** Tokens of the texts that are tried. */
const LENGTHS = [1, 4, 9, 24];

/** The logits after each of a few texts of made-up tokens. @throws ShoalError where it does not load or its logits are not finite */
export async function tryGenerator(runtime: Runtime, path: string): Promise<Answers> {
  const info = readDecoderInfo(path);
  if (info === undefined) throw invalid(`${path} does not say how it generates`);
  const session = await runtime.createSession(sessionModel(path));
  const capacity = info.maxContext + Math.max(...LENGTHS);
  const cache = new KvCache(session, info, { rows: 1, capacity });
  const passes = new DecoderPasses(session, info, cache, { logits: true });
  try {
    const answers: Float32Array[] = [];
    for (const length of LENGTHS.filter((tokens) => tokens <= info.maxContext)) {
      const [[candidates] = []] = await passes.forward([{ past: 0, ids: madeUp(length, info), wanted: 1 }]);
      const logits = Float32Array.from(candidates?.logits ?? []);
      if (!logits.every(Number.isFinite)) throw invalid(`${path} predicts NaN or infinity`);
      answers.push(logits);
    }
    return answers;
  } finally {
    await passes.release();
    await session.release();
  }
}

/** Spread over the vocabulary by a prime that shares no factor with its size. */
function madeUp(length: number, { vocabulary }: DecoderInfo): readonly number[] {
  return Array.from({ length }, (_, n) => ((n + 1) * 7919 + length) % vocabulary);
}
