/** transformers.js: `generate` of a causal language model, on the graph that the hub's 4-bit exports have. */
import { AutoModelForCausalLM, env, Tensor } from '@huggingface/transformers';
import type { Generator, GeneratorOptions } from './generator.js';

export async function transformersGenerator({ model, threads }: GeneratorOptions): Promise<Generator> {
  env.allowRemoteModels = false;
  const causal = await AutoModelForCausalLM.from_pretrained(model, {
    dtype: 'q4',
    device: 'cpu',
    local_files_only: true,
    session_options: { intraOpNumThreads: threads },
  });
  return {
    async generate(prompts, tokens) {
      const length = prompts[0]!.length;
      const tensor = (data: BigInt64Array) => new Tensor('int64', data, [prompts.length, length]);
      const ids = BigInt64Array.from(
        prompts.flatMap((prompt) => [...prompt]),
        BigInt,
      );
      const made = (await causal.generate({
        input_ids: tensor(ids),
        attention_mask: tensor(new BigInt64Array(ids.length).fill(1n)),
        max_new_tokens: tokens,
        do_sample: false,
        eos_token_id: -1,
      } as never)) as Tensor;
      return (made.tolist() as bigint[][]).map((row) => row.slice(length).map(Number));
    },
  };
}
