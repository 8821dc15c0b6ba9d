/** How large a model is. */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readSignature } from '@shoal/onnx';
import type { Model } from '../types.js';

/** Bytes of the variant's ONNX file and of the files that its weights are in. @throws ShoalError `model_invalid` */
export async function weightBytes({ variants, variant }: Pick<Model, 'variants' | 'variant'>): Promise<number> {
  const path = variants[variant]!;
  const files = [path, ...readSignature(path).externalFiles.map((location) => join(dirname(path), location))];
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
