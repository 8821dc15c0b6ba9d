/** How large a model is. */
import { stat } from 'node:fs/promises';
import type { Model } from '../types.js';
import { graphFiles } from './graph-identity.js';

/** Bytes of the variant's ONNX file and of the files that its weights are in. @throws ShoalError `model_invalid` */
export async function weightBytes({ variants, variant }: Pick<Model, 'variants' | 'variant'>): Promise<number> {
  const sizes = await Promise.all(graphFiles(variants[variant]!).map(async (file) => (await stat(file)).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
