/** What methods say of a model that is there in rounded weights alone: in the same words, so that it is told once. */
import type { Model } from '@shoal/models';

/** Undefined: the original is in 32-bit floats. */
export function withoutFloats({ variant, variants }: Pick<Model, 'variant' | 'variants'>): string | undefined {
  if (variant === 'fp32') return undefined;
  return `there is no variant fp32 to begin from, only ${Object.keys(variants).join(', ')}; import it with --dtype fp32`;
}
