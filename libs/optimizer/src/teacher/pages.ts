/** Questions in pages that a job takes: what is computed, kept and sent at a time. */
import { MAX_BODY_BYTES, MAX_ITEMS, ShoalError, type TextItem } from '@shoal/contracts';
import type { Model, ModelFace } from '@shoal/models';
import { keyOf } from '../journal/keys.js';
import type { Page, Question } from './types.js';

/** Half of what a body may have: what is around the questions, and characters that JSON escapes, have room beside them. */
const MOST_BYTES = MAX_BODY_BYTES / 2;

export interface PlacedPage extends Page {
  /** Of its first question, among all. */
  readonly from: number;
}

/** Where pages begin and end: the same for the same questions, whoever asks. */
export function rangesOf(questions: readonly Question[]): readonly { readonly from: number; readonly to: number }[] {
  const ranges: { from: number; to: number }[] = [];
  let bytes = 0;
  for (const [n, question] of questions.entries()) {
    const own = Buffer.byteLength(JSON.stringify(question)) + 1;
    const last = ranges.at(-1);
    if (last === undefined || last.to - last.from === MAX_ITEMS || bytes + own > MOST_BYTES) {
      ranges.push({ from: n, to: n + 1 });
      bytes = own;
    } else {
      last.to = n + 1;
      bytes += own;
    }
  }
  return ranges;
}

/**
 * The questions as the model takes them; in several pages where the answers are too large for one job.
 *
 * @param print of the model, the data and the versions
 * @throws ShoalError where a question is not one for this model
 */
export async function encodePages(
  face: ModelFace,
  questions: readonly Question[],
  parameters: Page['parameters'],
  print: string,
  from = 0,
): Promise<readonly PlacedPage[]> {
  const encoded = await face.encode({ input: questions, parameters }).catch((error: unknown) => {
    if (error instanceof ShoalError && error.code === 'result_too_large' && questions.length > 1) return null;
    throw error;
  });
  if (encoded === null) {
    const half = questions.length >> 1;
    return [
      ...(await encodePages(face, questions.slice(0, half), parameters, print, from)),
      ...(await encodePages(face, questions.slice(half), parameters, print, from + half)),
    ];
  }
  const items = encoded.items.map((item) => checked(item, face.model));
  const key = keyOf({ print, parameters, questions });
  return [{ key, questions, parameters, from, items, resolved: encoded.parameters }];
}

/** Rows of the embedding table. @throws ShoalError `model_invalid` where config.json does not say */
export function vocabularyOf({ name, text }: Model): number {
  if (text?.vocabSize != null) return text.vocabSize;
  throw new ShoalError('model_invalid', `${name}: config.json has no vocab_size: add the number of the model's tokens`);
}

/** @throws ShoalError `model_invalid` where the tokenizer is another model's */
function checked(item: unknown, model: Model): TextItem {
  const { ids } = item as TextItem;
  const vocabulary = vocabularyOf(model);
  const foreign = ids.find((id) => id >= vocabulary);
  if (foreign === undefined) return item as TextItem;
  const message = `tokenizer.json makes the token ${foreign}, and config.json has a vocab_size of ${vocabulary}`;
  throw new ShoalError('model_invalid', `${model.name}: ${message}: they are not of one model`);
}
