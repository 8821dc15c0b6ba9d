/**
 * Families whose GGUF files are laid out in ways of their own. The fixtures are the checkpoints of the same names, written in
 * 32-bit floats by the Python package gguf 0.19; llama.cpp goes on with them as PyTorch does.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decoderInfoOf } from '@shoal/models';
import { serialiseModel } from '@shoal/onnx';
import { openRuntime } from '@shoal/onnxruntime';
import { expect, test } from 'vitest';
import { buildModel } from '../architectures/table.js';
import { float32 } from '../precision/float32.js';
import { casesOf, difference, type Json, logitsOf, pathOf, rowsOf } from '../testing/decoders.js';
import { openGguf, unpackGguf } from './open.js';

/** Of logits up to 6. */
const TOLERANCE = 2e-5;

test.each<[name: string, changes: Json]>([
  // llama.cpp divides scores of all but the largest Gemma 2 by the root of the head's width; the checkpoint has another number.
  ['gemma2', { query_pre_attn_scalar: 40 }],
  ['granite', {}],
  ['olmo2', {}],
  ['smollm3', {}],
])('%s has the logits of PyTorch', async (name, changes) => {
  const path = pathOf(`test/fixtures/gguf-families/${name}.gguf`);
  const folder = mkdtempSync(join(tmpdir(), 'shoal-gguf-families-'));
  try {
    unpackGguf(path, folder);
    const config = { ...(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Json), ...changes };
    const model = buildModel({ config, checkpoint: openGguf(path), precision: float32 });
    const session = await (await openRuntime()).createSession(serialiseModel(model));
    const logits = await logitsOf({ session, info: decoderInfoOf(model)! }, rowsOf(name), 64);
    for (const [n, { last_logits }] of casesOf(name).entries()) {
      expect(difference(logits[n]!, last_logits)).toBeLessThan(TOLERANCE);
    }
    await session.release();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
