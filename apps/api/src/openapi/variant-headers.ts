/** Headers of answers that have no field of their own for it: what exactly has answered. */
import { LOSS_HEADER, MODEL_HEADER } from '../openai/told-variant.js';

export const VARIANT_HEADERS = {
  [MODEL_HEADER]: 'Version and variant that have answered, as a name that asks for just these.',
  [LOSS_HEADER]:
    'How much worse than the original that variant was measured to be, as a job tells it (`accuracy_loss`), in JSON. Not sent where it is the original, or was not chosen by `max_accuracy_loss`.',
} as const;
