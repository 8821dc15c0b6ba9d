/** Settings of a decoder's session reach the runtime: attention in blocks adds in another order, which the last bits show. */
import { readDecoderInfo } from '@shoal/models';
import { openRuntime, type Session } from '@shoal/onnxruntime';
import { expect, test } from 'vitest';
import { KvCache } from './kv/cache.js';
import { DecoderPasses } from './passes.js';
import { decoderSession } from './session-options.js';
import { modelPath, prompts } from './testing/texts.js';

const PATH = modelPath('wordnet-lm');

/** Logits after a text of 60 tokens. */
async function logitsOf(session: Session): Promise<Float32Array> {
  const info = readDecoderInfo(PATH)!;
  const cache = new KvCache(session, info, { rows: 1, capacity: info.maxContext });
  const passes = new DecoderPasses(session, info, cache, { logits: true });
  const ids = prompts()
    .flatMap((prompt) => [...prompt])
    .slice(0, 60);
  const [[candidates] = []] = await passes.forward([{ past: 0, ids, wanted: 1 }]);
  const logits = candidates!.logits!.slice();
  await passes.release();
  await session.release();
  return logits;
}

test('attention is computed as each session says, also where they are made at once', async () => {
  const runtime = await openRuntime();
  const sessions = await Promise.all(
    [true, false, true].map((flashAttention) => {
      return runtime.createSession(PATH, decoderSession({ threads: 1, flashAttention, cpuArena: flashAttention }));
    }),
  );
  const [blocks, whole, again] = await Promise.all(sessions.map(logitsOf));
  expect(again).toEqual(blocks);
  expect(whole).not.toEqual(blocks);
  for (const [n, logit] of whole!.entries()) expect(logit).toBeCloseTo(blocks![n]!, 1);
});

test('what is not said is as engines have it', () => {
  expect(decoderSession({ threads: 3 })).toEqual({
    ...{ intraOpThreads: 3, spinning: true, flashAttention: false, cpuArena: true },
    config: { 'session.force_spinning_stop': '1' },
  });
  const other = { threads: 1, spinning: false, flashAttention: true, cpuArena: false };
  expect(decoderSession(other)).toMatchObject({ spinning: false, flashAttention: true, cpuArena: false });
});
