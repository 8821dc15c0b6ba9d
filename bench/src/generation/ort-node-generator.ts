/**
 * The plain loop over onnxruntime-node's own binding and the ONNX file that Shoal's engine runs: a fixed batch, a call of
 * `session.run` for each token. Keys and values are fed to it and come back: in place, or as new tensors that the next
 * call is fed, as programs around this binding usually do.
 */
import { readDecoderInfo } from '@shoal/models';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Generator, GeneratorOptions } from './generator.js';

type Tensors = Record<string, Tensor>;

export async function ortNodeGenerator({ model, threads }: GeneratorOptions, inPlace: boolean): Promise<Generator> {
  const info = readDecoderInfo(model);
  if (info === undefined) throw new Error(`${model} is no decoder`);
  const session = await InferenceSession.create(model, { intraOpNumThreads: threads });
  const layers = Array.from({ length: info.layers }, (_, n) => [`${n}.key`, `${n}.value`]).flat();
  return {
    async generate(prompts, tokens) {
      const dims = [prompts.length, info.kvHeads, info.maxContext, info.headDim];
      const size = dims.reduce((product, dim) => product * dim, 1);
      let cache: (readonly [name: string, values: Tensor])[] = layers.map((name) => [
        name,
        new Tensor('float32', new Float32Array(size), dims),
      ]);
      const texts = prompts.map((): number[] => []);
      let past = 0;
      let latest = prompts.map((prompt) => [...prompt]);
      for (let step = 0; step < tokens; step++) {
        const feeds = feedsOf(latest, past);
        for (const [name, tensor] of cache) feeds[`past_key_values.${name}`] = tensor;
        const present = cache.map(([name, tensor]) => [`present.${name}`, inPlace ? tensor : null] as const);
        const results: Tensors = await session.run(feeds, { top_k_ids: null, ...Object.fromEntries(present) });
        if (!inPlace) cache = layers.map((name) => [name, results[`present.${name}`]!] as const);
        past += latest[0]!.length;
        latest = Array.from(results.top_k_ids!.data as BigInt64Array, (id) => [Number(id)]);
        for (const [row, ids] of latest.entries()) texts[row]!.push(...ids);
      }
      return texts;
    },
  };
}

/** Rows of one length; the likeliest token after the last of each is wanted. */
function feedsOf(rows: readonly (readonly number[])[], past: number): Tensors {
  const [batch, length] = [rows.length, rows[0]!.length];
  const int64 = (values: readonly number[], dims: readonly number[]) =>
    new Tensor('int64', BigInt64Array.from(values, BigInt), dims);
  const places = rows.flatMap(() => Array.from({ length }, (_, n) => past + n));
  return {
    input_ids: int64(rows.flat(), [batch, length]),
    position_ids: int64(places, [batch, length]),
    seqlens_k: new Tensor('int32', new Int32Array(batch).fill(past + length - 1), [batch]),
    total_sequence_length: new Tensor('int32', Int32Array.of(past + length), [1]),
    logit_indices: int64(
      rows.map((_, row) => (row + 1) * length - 1),
      [batch],
    ),
    top_k: int64([1], [1]),
    log_sum_exp_indices: int64([], [0]),
  };
}
