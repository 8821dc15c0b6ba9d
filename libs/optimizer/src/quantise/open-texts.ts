/** The texts of a part of the user's file, as the model takes them. */
import type { Model } from '@shoal/models';
import type { Examples } from '../types.js';
import { decoderTexts } from './decoder-texts.js';
import { encoderTexts } from './encoder-texts.js';
import type { TextOptions, Texts } from './texts.js';

/** @throws ShoalError `invalid_request` where no example has a token that the model could read */
export function openTexts(model: Model, examples: Examples, options: TextOptions): Promise<Texts> {
  const open = model.task === 'text-generation' ? decoderTexts : encoderTexts;
  return open(model, examples, options);
}
