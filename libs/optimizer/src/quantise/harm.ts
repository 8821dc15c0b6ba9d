/** How far a graph's answers are from the original's, in one number that grows with the square of what was rounded. */
import type { Session } from '@shoal/onnxruntime';
import { divergence } from '../evaluate/divergence.js';
import type { Texts } from './texts.js';

export type Harm = (session: Session) => Promise<number>;

/**
 * Harm beside `original`: of a decoder the mean Kullback-Leibler divergence of a token's probabilities, in nats; of an encoder the
 * squared distance of its answers, as a share of their squared length (of unit vectors twice 1 less the cosine).
 *
 * @throws ShoalError `inference_failed`; the signal's reason
 */
export async function harmBeside(original: Session, texts: Texts): Promise<Harm> {
  const reference: Float32Array[] = [];
  await texts.answers(original, (answer) => reference.push(answer.slice()));
  const { vocabulary } = texts;
  return async (session) => {
    let [sum, count, at] = [0, 0, 0];
    await texts.answers(session, (answer) => {
      const expected = reference[at++]!;
      if (vocabulary === undefined) {
        for (let n = 0; n < answer.length; n++) {
          sum += (answer[n]! - expected[n]!) ** 2;
          count += expected[n]! ** 2;
        }
        return;
      }
      for (let start = 0; start < expected.length; start += vocabulary) {
        const row = (logits: Float32Array) => logits.subarray(start, start + vocabulary);
        sum += divergence(row(expected), row(answer));
        count += 1;
      }
    });
    return sum / Math.max(count, Number.MIN_VALUE);
  };
}
