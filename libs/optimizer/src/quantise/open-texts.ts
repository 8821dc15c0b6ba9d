/** The texts of a part of the user's file, as the model takes them. */
import type { Model } from '@shoal/models';
import type { Examples, Subject } from '../types.js';
import { decoderTexts } from './decoder-texts.js';
import { encoderTexts } from './encoder-texts.js';
import type { TextOptions, Texts } from './texts.js';

/** @throws ShoalError `invalid_request` where no example has a token that the model could read */
export function openTexts(model: Model, examples: Examples, options: TextOptions): Promise<Texts> {
  const open = model.task === 'text-generation' ? decoderTexts : encoderTexts;
  return open(model, examples, options);
}

/** The original with the graph to begin from in its place: what a stack begins from may have caches of fewer layers or heads. */
export function servedFrom({ original, path }: Pick<Subject, 'original' | 'path'>): Model {
  return { ...original, variants: { ...original.variants, [original.variant]: path } };
}
