/** How many sessions of a model may be there at once. */
import { memoryForModels } from '@shoal/generation';
import { type Model, weightBytes } from '@shoal/models';
import { Sessions } from './sessions.js';

/** A session takes its weights, and some of them packed again. */
const TIMES = 2;
/** More are of no use: what is dropped is not asked for again. */
const MOST = 12;
/** Of the memory of models: workers may run beside. */
const SHARE = 0.5;

/** @throws ShoalError `model_invalid` */
export async function sessionsFor<T>(model: Model, close: (opened: T) => Promise<void>): Promise<Sessions<T>> {
  const fit = Math.floor((SHARE * memoryForModels()) / (TIMES * (await weightBytes(model))));
  return new Sessions(Math.max(1, Math.min(MOST, fit)), close);
}
