/** Folders of sentence-transformers answer as it does itself: by the whole path of a job, each text alone and all in one batch. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { largestDifference, type Served, serve, valuesOf } from '../testing/served.js';
import { withHeader } from '../testing/strange-folder.js';

const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures/checkpoints', import.meta.url));
/** The answers were written with six decimals. */
const TOLERANCE = 1e-5;
/** Products of padded and of joined rows may be summed in another order. */
const SAME = 1e-5;
/** Least cosine to 32 bits; small random weights lose more than trained ones. */
const LIKE: Readonly<Record<string, number>> = { fp16: 0.9999, int8: 0.99, int4: 0.9 };
const IDENTITY = 'torch.nn.modules.linear.Identity';

interface Case {
  readonly text: string;
  readonly text_pair?: string;
  readonly prompt_name?: string | null;
  readonly input_ids: readonly number[];
  readonly values: readonly number[];
  /** Before the activation, of cross-encoders. */
  readonly logits?: readonly number[];
}

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

const root = mkdtempSync(join(tmpdir(), 'shoal-sentence-'));
afterAll(() => rmSync(root, { recursive: true }));

/** A fixture that may be changed. */
function copyOf(name: string): string {
  const folder = mkdtempSync(join(root, `${name}-`));
  cpSync(`${FIXTURES}/${name}`, folder, { recursive: true });
  return folder;
}

function edit(folder: string, file: string, changes: object): void {
  const path = join(folder, file);
  const json = JSON.parse(readFileSync(path, 'utf8')) as object;
  writeFileSync(path, JSON.stringify({ ...json, ...changes }));
}

function rename(folder: string, from: string, to: string): void {
  renameSync(join(folder, from), join(folder, to));
}

function replaceModule(folder: string, index: number, kind: string, path?: string): void {
  const file = join(folder, 'modules.json');
  const modules = JSON.parse(readFileSync(file, 'utf8')) as { path: string; type: string }[];
  const own = modules[index]!;
  modules[index] = { path: path ?? own.path, type: `sentence_transformers.models.${kind}` };
  writeFileSync(file, JSON.stringify(modules));
}

/** A safetensors file of `linear.weight`, which leaves vectors of `width` as they are. */
function identity(width: number): Buffer {
  const values = new Float32Array(width * width);
  for (let i = 0; i < width; i++) values[i * (width + 1)] = 1;
  const tensor = { dtype: 'F32', shape: [width, width], data_offsets: [0, values.byteLength] };
  return withHeader(JSON.stringify({ 'linear.weight': tensor }), Buffer.from(values.buffer));
}

function cosine(a: Float32Array, b: readonly number[]): number {
  const dot = (x: ArrayLike<number>, y: ArrayLike<number>) =>
    Array.from(x).reduce((sum, value, i) => sum + value * y[i]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

function casesOf(name: string): readonly Case[] {
  const file = readFileSync(`${FIXTURES}/${name}/expected.json`, 'utf8');
  return (JSON.parse(file) as { readonly cases: readonly Case[] }).cases;
}

async function served<T>(name: string, use: (model: Served) => Promise<T>, dtype = 'fp32'): Promise<T> {
  const model = await serve(runtime, `${FIXTURES}/${name}`, dtype);
  try {
    return await use(model);
  } finally {
    await model.close();
  }
}

const EMBEDDERS = [
  'embedding-gemma',
  'qwen3-embedding',
  'st-dense-identity',
  'st-dense-tanh',
  'st-dense-two',
  'st-layer-norm',
  'st-lower-case',
  'st-max-length',
  'st-max-length-none',
  'st-max-length-tokenizer',
  'st-modernbert',
  'st-normalize-twice',
  'st-pool-cls',
  'st-pool-cls-mean',
  'st-pool-lasttoken',
  'st-pool-max',
  'st-pool-mean-max',
  'st-pool-mean-sqrt-len',
  'st-pool-weightedmean',
  'st-prompts',
  'st-prompts-excluded',
  'st-prompts-none-default',
  'st-saved',
  'st-truncate-left',
];

describe.each(EMBEDDERS)('%s', (name) => {
  test('answers as sentence-transformers does, by each prompt', async () => {
    await served(name, async ({ answer, model }) => {
      const all = casesOf(name);
      for (const prompt_name of new Set(all.map((sample) => sample.prompt_name))) {
        const cases = all.filter((sample) => sample.prompt_name === prompt_name);
        const parameters = { truncate: true, prompt_name };
        const together = await answer(
          cases.map(({ text }) => text),
          parameters,
        );
        expect(together.ids).toEqual(cases.map(({ input_ids }) => input_ids));
        for (const [n, { text, values }] of cases.entries()) {
          const alone = await answer(text, parameters);
          expect(largestDifference(valuesOf(alone.outputs[0]!), values)).toBeLessThan(TOLERANCE);
          expect(largestDifference(valuesOf(together.outputs[n]!), values)).toBeLessThan(TOLERANCE);
          expect(model.dimensions).toBe(values.length);
        }
      }
    });
  });
});

test.each(['fp16', 'int8', 'int4'])('modules with weights as %s: a text alone is as beside others', async (dtype) => {
  const use = async ({ answer }: Served) => {
    const cases = casesOf('st-dense-two');
    const together = await answer(cases.map(({ text }) => text));
    for (const [n, { text, values }] of cases.entries()) {
      const own = valuesOf((await answer(text)).outputs[0]!);
      expect(largestDifference(valuesOf(together.outputs[n]!), own)).toBeLessThan(SAME);
      expect(cosine(own, values)).toBeGreaterThan(LIKE[dtype]!);
    }
  };
  await served('st-dense-two', use, dtype);
});

test('a text or tokens of any length are cut at the beginning where the folder says so', async () => {
  await served('st-truncate-left', async ({ answer }) => {
    const [end] = (await answer('red orange honey')).ids;
    const { ids } = await answer([`${'salt '.repeat(5000)}red orange honey`, { tokens: [...Array(99).keys()] }], {
      truncate: true,
    });
    expect(ids[0]).toHaveLength(10);
    expect(ids[0]!.slice(-4)).toEqual(end!.slice(-4));
    expect(ids[1]).toEqual([89, 90, 91, 92, 93, 94, 95, 96, 97, 98]);
  });
});

describe('prompts', () => {
  test('are chosen by name; an empty name is none, and another is refused with the names there are', async () => {
    await served('st-prompts', async ({ answer, model }) => {
      const idsOf = async (prompt_name?: string) => (await answer('honey', { prompt_name })).ids[0]!;
      expect(await idsOf()).toEqual(await idsOf('query'));
      expect(await idsOf('')).toEqual(await idsOf('plain'));
      expect(await idsOf('document')).not.toEqual(await idsOf('query'));
      for (const name of ['Query', 'constructor', '__proto__']) {
        const message = "parameters.prompt_name: this model's prompts are query, document, plain";
        await expect(idsOf(name)).rejects.toThrow(message);
      }
      expect(model.text?.prompts.standard).toBe('query');
    });
  });

  test('are refused where a model has none', async () => {
    await served('st-pool-cls', async ({ answer }) => {
      await expect(answer('honey', { prompt_name: 'query' })).rejects.toThrow('this model has no prompts');
    });
  });

  test('go before the first text of a pair; token ids stay as they are', async () => {
    await served('st-prompts', async ({ answer }) => {
      const { ids } = await answer([{ text: 'honey', text_pair: 'red' }, { tokens: [2, 5, 3] }]);
      expect(ids[1]).toEqual([2, 5, 3]);
      expect(ids[0]!.length).toBeGreaterThan((await answer('honey')).ids[0]!.length);
    });
  });

  test('that are left out of pooling are so with modules in the graph, also in a batch, and never with token ids', async () => {
    await served('st-prompts-excluded', async (plain) => {
      const folder = copyOf('st-prompts-excluded');
      // Dense with the identity: the same answers, by the graph.
      const width = 40;
      mkdirSync(join(folder, '3_Dense'));
      writeFileSync(
        join(folder, '3_Dense', 'config.json'),
        JSON.stringify({ in_features: width, out_features: width, bias: false, activation_function: IDENTITY }),
      );
      writeFileSync(join(folder, '3_Dense', 'model.safetensors'), identity(width));
      const modules = JSON.parse(readFileSync(join(folder, 'modules.json'), 'utf8')) as object[];
      const dense = { idx: 3, name: '3', path: '3_Dense', type: 'sentence_transformers.models.Dense' };
      writeFileSync(join(folder, 'modules.json'), JSON.stringify([...modules, dense, modules[2]]));
      const inGraph = await serve(runtime, folder);
      try {
        expect(inGraph.model.inputs.map(({ name }) => name)).toContain('pooling_mask');
        const input = [...casesOf('st-prompts-excluded').map(({ text }) => text), { tokens: [2, 128, 198, 3] }];
        for (const prompt_name of ['query', undefined]) {
          const [a, b] = [
            await plain.answer(input, { truncate: true, prompt_name }),
            await inGraph.answer(input, { truncate: true, prompt_name }),
          ];
          for (const [n, output] of a.outputs.entries()) {
            expect(largestDifference(valuesOf(output), valuesOf(b.outputs[n]!))).toBeLessThan(TOLERANCE);
          }
        }
      } finally {
        await inGraph.close();
      }
    });
  });
});

describe('cross-encoders', () => {
  test.each(['ce-default', 'ce-identity', 'ce-identity-old', 'ce-saved', 'ce-sigmoid'])(
    '%s scores as its activation says',
    async (name) => {
      await served(name, async ({ answer, model }) => {
        expect(model.task).toBe('rerank');
        for (const { text, text_pair, input_ids, values, logits } of casesOf(name)) {
          const input = { query: text, documents: [text_pair!] };
          const { outputs, ids } = await answer(input, { truncate: true });
          expect(ids).toEqual([input_ids]);
          expect(largestDifference(valuesOf(outputs[0]!), values)).toBeLessThan(TOLERANCE);
          const raw = await answer(input, { truncate: true, function_to_apply: 'none' });
          expect(largestDifference(valuesOf(raw.outputs[0]!), logits!)).toBeLessThan(TOLERANCE);
        }
      });
    },
  );

  test.each([
    ['ce-three', { function_to_apply: 'none' }],
    ['ce-three-sigmoid', {}],
  ])('%s has a score for each of its classes', async (name, parameters) => {
    await served(name, async ({ answer, model }) => {
      expect(model.task).toBe('text-classification');
      for (const { text, text_pair, values } of casesOf(name)) {
        const { outputs } = await answer({ text, text_pair }, { truncate: true, ...parameters });
        expect(largestDifference(valuesOf(outputs[0]!), values)).toBeLessThan(TOLERANCE);
      }
    });
  });

  test('with an activation that is not known are refused by its name', async () => {
    const folder = copyOf('ce-sigmoid');
    edit(folder, 'config.json', { sentence_transformers: { activation_fn: 'torch.nn.modules.activation.Tanhshrink' } });
    await expect(serve(runtime, folder)).rejects.toThrow('activation_fn: "torch.nn.modules.activation.Tanhshrink"');
  });
});

describe('what cannot be applied is refused by name', () => {
  const dense = (changes: object) => (folder: string) => edit(folder, '2_Dense/config.json', changes);
  test.each([
    ['an activation', dense({ activation_function: 'my.Own' }), '2_Dense/config.json: activation_function: "my.Own"'],
    ['a width', dense({ in_features: 41 }), '2_Dense/config.json: 41 numbers go in, but what is before it gives 40'],
    ['a tensor of another shape', dense({ out_features: 25 }), 'linear.weight has the shape 24 × 40'],
    ['vectors of tokens', dense({ module_input_name: 'token_embeddings' }), 'module_input_name: "token_embeddings"'],
    ['a module', (folder: string) => replaceModule(folder, 2, 'CNN'), '"sentence_transformers.models.CNN"'],
    ['a folder elsewhere', (folder: string) => replaceModule(folder, 2, 'Dense', '../x'), '"../x" is no folder'],
    ['a pooling', (folder: string) => edit(folder, '1_Pooling/config.json', { pooling_mode: 'median' }), '"median"'],
    [
      'the transformer in a folder of its own',
      (folder: string) => replaceModule(folder, 0, 'Transformer', '0_Transformer'),
      'the transformer lies in 0_Transformer',
    ],
    [
      'a default prompt that is not there',
      (folder: string) => edit(folder, 'config_sentence_transformers.json', { default_prompt_name: 'query' }),
      'default_prompt_name: "query" is not among the prompts (none)',
    ],
    [
      'a pickle',
      (folder: string) => rename(folder, '2_Dense/model.safetensors', '2_Dense/pytorch_model.bin'),
      'pickle',
    ],
  ])('%s', async (_, change, message) => {
    const folder = copyOf('st-dense-tanh');
    change(folder);
    await expect(serve(runtime, folder)).rejects.toThrow(message);
  });
});
