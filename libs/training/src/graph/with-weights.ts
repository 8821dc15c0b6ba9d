/** A model with trained weights in place of its own. */
import type { Model } from '@shoal/onnx';
import { prepare } from './prepare.js';
import { setWeights, type Weights } from './weights.js';

/**
 * A copy of the model that was given to `trainingGraph`, whose constants of these names hold these numbers in 32 bits. Save it,
 * or make a session of it to evaluate; `storeInHalves` rounds them to 16 bits.
 *
 * @throws ShoalError `invalid_request` where there is no such constant
 */
export function withWeights(model: Model, weights: Weights): Model {
  const copy = prepare(model);
  setWeights(copy, weights);
  return copy;
}
