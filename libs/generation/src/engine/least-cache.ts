/** What a model that generates text needs beside its weights before it is opened. */
import { type Model, readDecoderInfo } from '@shoal/models';
import { bytesPerToken } from '../kv/cache.js';
import { CACHE_SHARE } from './sizing.js';

/** Bytes for one text as long as the model takes them; 0 of a model that generates no text. @throws ShoalError `model_invalid` */
export function leastCacheBytes({ generator, variants, variant, inputs }: Model): number {
  const info = generator === null ? undefined : readDecoderInfo(variants[variant]!);
  if (generator === null || info === undefined) return 0;
  return Math.ceil((bytesPerToken({ inputs }, info) * generator.maxContext) / CACHE_SHARE);
}
