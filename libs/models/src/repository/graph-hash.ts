/** What a graph is, by its bytes: those of its ONNX file and of the files that its weights are in. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { readSignature } from '@shoal/onnx';
import type { Model } from '../types.js';

/** A SHA-256 that more may be added to, of the variant's graph with its weights. @throws ShoalError `model_invalid` */
export async function hashGraph({ variants, variant }: Pick<Model, 'variants' | 'variant'>): Promise<Hash> {
  const path = variants[variant]!;
  const hash = createHash('sha256');
  for (const file of [path, ...readSignature(path).externalFiles.map((location) => join(dirname(path), location))]) {
    await pipeline(createReadStream(file), hash, { end: false });
  }
  return hash;
}
