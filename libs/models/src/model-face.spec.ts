import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type JobError, ShoalError } from '@shoal/contracts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createModelFace } from './model-face.js';
import { openRepository } from './repository/repository.js';
import type { TaskFace } from './tasks/pipeline.js';
import { PIPELINES } from './tasks/table.js';
import { FIXTURES, type ModelFolders, modelFolders, onnx, TEXT_INPUTS } from './testing/model-folder.js';
import type { ModelFace } from './types.js';

let folders: ModelFolders;
let classify: ModelFace;
let embed: ModelFace;
let rerank: ModelFace;
let entities: ModelFace;

/** Graphs without nodes around the tokenizers of two tiny checkpoints. */
beforeAll(async () => {
  folders = modelFolders();
  const graph = (name: string, shape: (number | string)[]) => onnx(TEXT_INPUTS, [{ name, type: 'float32', shape }]);
  folders.copyFixture('roberta-rerank', 'rerank');
  folders.write('rerank', {
    'model.onnx': graph('logits', ['batch', 1]),
    'shoal.json': { limits: { max_tokens: 64 } },
  });
  folders.copyFixture('bert-tokens', 'entities');
  folders.write('entities', { 'model.onnx': graph('logits', ['batch', 'sequence', 5]) });
  folders.copyFixture('bert-tokens', 'classify');
  folders.write('classify', {
    'model.onnx': graph('logits', ['batch', 3]),
    'config.json': { architectures: ['BertForSequenceClassification'], vocab_size: 288, max_position_embeddings: 100 },
    'shoal.json': { limits: { max_tokens: 16 }, example: "it's one" },
  });
  folders.copyFixture('bert-tokens', 'embed');
  folders.write('embed', {
    'model.onnx': graph('last_hidden_state', ['batch', 'sequence', 2048]),
    'config.json': { architectures: ['BertModel'], vocab_size: 288 },
  });
  const { models, problems } = await openRepository(folders.root);
  expect(problems).toEqual([]);
  const open = (name: string) => createModelFace(models.find((model) => model.name === name)!);
  [classify, embed, rerank, entities] = await Promise.all([
    open('classify'),
    open('embed'),
    open('rerank'),
    open('entities'),
  ]);
});
afterAll(() => folders.remove());

async function failure(face: ModelFace, request: Parameters<ModelFace['encode']>[0]): Promise<ShoalError> {
  const error: unknown = await face.encode(request).catch((thrown: unknown) => thrown);
  if (error instanceof ShoalError) return error;
  throw new Error('expected a ShoalError');
}

const paths = (error: ShoalError) => error.faults.map(({ path }) => path);
const ids = (...values: number[]) => Uint32Array.from(values);
const expected = (name: string): { cases: { text: string; text_pair?: string; input_ids: number[] }[] } =>
  JSON.parse(readFileSync(join(FIXTURES, name, 'expected.json'), 'utf8'));

test("ids of pairs, cut to 64 tokens where needed, are those of Hugging Face's tokenizers", async () => {
  for (const { text, text_pair, input_ids } of expected('roberta-rerank').cases) {
    const input = { query: text, documents: [text_pair] };
    const { items, groups } = await rerank.encode({ input, parameters: { truncate: true } });
    expect(items).toMatchObject([{ kind: 'text', ids: Uint32Array.from(input_ids) }]);
    expect(groups).toEqual([1]);
  }
});

test('one text, an array, a pair and token ids are all items', async () => {
  const one = await classify.encode({ input: 'one' });
  expect(one).toMatchObject({ task: 'text-classification', array: false, tokens: [4] });
  const pair = { text: 'one', text_pair: 'two' };
  const many = await classify.encode({ input: ['one', pair, { tokens: [3, 4, 5] }] });
  expect(many.array).toBe(true);
  expect(many.items[0]).toEqual(one.items[0]);
  expect(many.items[2]).toEqual({ kind: 'text', ids: ids(3, 4, 5) });
});

test('all faults of input and parameters come in one error', async () => {
  const error = await failure(classify, { input: ['ok', '', { text: 1 }], parameters: { top_k: 0, nope: true } });
  expect(error.code).toBe('invalid_request');
  expect(paths(error)).toEqual(['parameters.top_k', 'parameters.nope', 'input[1]', 'input[2]']);
  expect(paths(await failure(classify, { input: [] }))).toEqual(['input']);
  expect(paths(await failure(classify, { input: Array.from({ length: 1001 }, () => 'a') }))).toEqual(['input']);
  expect(paths(await failure(classify, { input: 'a', task: 'rerank' }))).toEqual(['task']);
  expect(paths(await failure(classify, { input: [{ tokens: [1, 288] }] }))).toEqual(['input[0].tokens[1]']);
});

test('a folder that says so cuts texts that are too long, unless a request says otherwise', async () => {
  const shoal = { ...classify.model.shoal, truncate: true };
  const cutting = await createModelFace({ ...classify.model, shoal });
  const input = 'one two three '.repeat(40);
  for (const parameters of [undefined, null, {}, { truncate: null }, { top_k: 1 }]) {
    expect((await cutting.encode({ input, parameters })).tokens).toEqual([16]);
  }
  expect((await failure(cutting, { input, parameters: { truncate: false } })).code).toBe('input_too_long');
  expect((await failure(classify, { input, parameters: { truncate: null } })).code).toBe('input_too_long');
});

test('every input that is too long is named with its tokens and the limit, unless truncated', async () => {
  const long = 'one two three four five six seven';
  const request = { input: ['one', long, { tokens: Array.from({ length: 17 }, () => 5) }] };
  const error = await failure(classify, request);
  expect(error.code).toBe('input_too_long');
  expect(paths(error)).toEqual(['input[1]', 'input[2]']);
  expect(error.message).toContain('input[2]: has 17 tokens, the model takes 16');
  const cut = await classify.encode({ ...request, parameters: { truncate: true } });
  expect(cut.tokens).toEqual([4, 16, 16]);
  const whole = await embed.encode({ input: long });
  const item = whole.items[0]!;
  const cutItem = cut.items[1]!;
  if (item.kind !== 'text' || cutItem.kind !== 'text') throw new Error('expected texts');
  // The special token at the end stays.
  expect([...cutItem.ids]).toEqual([...item.ids.slice(0, 15), item.ids.at(-1)]);
});

test('texts for token classification keep offsets in UTF-16 units and word numbers', async () => {
  const { items } = await entities.encode({ input: '😀 one' });
  const item = items[0]!;
  if (item.kind !== 'text') throw new Error('expected a text');
  const last = item.words!.findLastIndex((word) => word >= 0);
  expect(item.offsets!.slice(2 * last, 2 * last + 2)).toEqual(Uint32Array.of(4, 6));
  expect([item.words![0], item.words!.at(-1)]).toEqual([-1, -1]);
  expect(paths(await failure(entities, { input: { tokens: [1] } }))).toEqual(['input']);
});

test('rerank makes a row per document and counts them over all queries', async () => {
  const documents = ['one', 'two'];
  const input = [
    { query: 'a', documents },
    { query: 'b', documents: ['three'] },
  ];
  const encoded = await rerank.encode({ input, parameters: { return_documents: true } });
  expect(encoded.groups).toEqual([2, 1]);
  expect(encoded.items.map((item) => (item.kind === 'text' ? item.text : ''))).toEqual(['one', 'two', 'three']);
  const many = { query: 'a', documents: Array.from({ length: 501 }, () => 'x') };
  expect(paths(await failure(rerank, { input: [many, many] }))).toEqual(['input']);
  const long = { query: 'a', documents: ['one', 'two '.repeat(100)] };
  expect(paths(await failure(rerank, { input: [long] }))).toEqual(['input[0].documents[1]']);
});

test('a result that would not fit is refused before it is queued', async () => {
  const text = 'one two three four five six seven eight nine ten '.repeat(2);
  const input = Array.from({ length: 40 }, () => text);
  const error = await failure(embed, { input, parameters: { pooling: 'none' } });
  expect(error.code).toBe('result_too_large');
  expect((await embed.encode({ input })).resultBytes).toBeGreaterThan(40 * 2048 * 4);
});

const failed: JobError = { code: 'inference_failed', title: '', detail: '', retryable: false };
const score = (value: number, text?: string) => ({ output: { kind: 'score' as const, score: value, text } });

test('a failed item is null in an array and named by its index; for rerank, its whole group', () => {
  const shape = { parameters: {}, array: true };
  const one = { output: { kind: 'scores' as const, indices: ids(1), scores: Float32Array.of(0.1) } };
  expect(classify.present(shape, [one, { error: failed }, null])).toEqual({
    output: [[{ label: 'LABEL_1', score: 0.1 }], null, null],
    errors: [{ ...failed, index: 1 }],
  });
  const groups = { ...shape, groups: [2, 1] };
  expect(rerank.present(groups, [score(0.5), { error: failed }, score(0.25)])).toEqual({
    output: [null, [{ index: 0, score: 0.25 }]],
    errors: [{ ...failed, index: 0 }],
  });
});

test('rerank shows the best first, as many as asked, with their documents', () => {
  const shape = { parameters: { return_documents: true, top_n: 2 }, array: false, groups: [3] };
  const results = [score(0.25, 'b'), score(0.75, 'a'), score(0.125, 'c')];
  expect(rerank.present(shape, results).output).toEqual([
    { index: 1, score: 0.75, document: 'a' },
    { index: 0, score: 0.25, document: 'b' },
  ]);
});

test('token vectors are nested lists; entities are named by tag, single tokens by label', () => {
  const vectors = { kind: 'vector' as const, values: Float32Array.of(0.1, 2, 3, 4), dims: [2, 2] };
  expect(embed.present({ parameters: {}, array: false }, [{ output: vectors }]).output).toEqual([
    [0.1, 2],
    [3, 4],
  ]);
  const entity = { label: 1, score: 0.5, start: 0, end: 3, word: 'Ada' };
  const results = [{ output: { kind: 'entities' as const, entities: [entity] } }];
  const labels = ['B-PER', 'PER'];
  const model = { ...entities.model, labels: ['O', 'B-PER'] };
  for (const [i, aggregation_strategy] of ['none', 'simple'].entries()) {
    const shown = (PIPELINES[model.task] as TaskFace).present(
      model,
      { aggregation_strategy },
      [results[0]!.output],
      null,
    );
    expect(shown).toEqual([{ ...entity, label: labels[i] }]);
  }
});

test('more dimensions than the vectors have, and pooling that the graph has done already, are faults', async () => {
  expect(paths(await failure(embed, { input: 'a', parameters: { dimensions: 2049 } }))).toEqual([
    'parameters.dimensions',
  ]);
  const outputs = [{ name: 'sentence_embedding', type: 'float32', shape: ['batch', 8] }];
  const pooled = await createModelFace({ ...embed.model, outputs });
  expect((await pooled.encode({ input: 'one' })).parameters).toMatchObject({ pooling: 'graph' });
  expect(paths(await failure(pooled, { input: 'a', parameters: { pooling: 'cls' } }))).toEqual(['parameters.pooling']);
});

test('a file that is not a tokenizer is an invalid model', async () => {
  const folder = folders.write('broken', { 'tokenizer.json': '{"model":{}}' });
  await expect(createModelFace({ ...embed.model, folder })).rejects.toMatchObject({ code: 'model_invalid' });
});

test("the card's example is a request that this model takes, as a line for a shell", async () => {
  const card = classify.card('http://localhost:8080');
  expect(card.limits).toMatchObject({ max_tokens: 16, max_items: 1000 });
  expect(card.example.curl).toContain(`"it'\\''s one"`);
  expect(card.example.curl).not.toContain('authorization');
  expect(classify.card('http://localhost:8080', null, true).example.curl).toContain(
    "-H 'authorization: Bearer <your key>'",
  );
  for (const face of [classify, embed, rerank, entities]) {
    const { input } = face.card('http://localhost:8080').example.request as { input: unknown };
    await expect(face.encode({ input })).resolves.toMatchObject({ task: face.model.task });
  }
});

test('the card has the prompts of a model, and which is its default', async () => {
  folders.copyFixture('bert-tokens', 'prompted');
  folders.write('prompted', {
    'model.onnx': onnx(TEXT_INPUTS, [{ name: 'last_hidden_state', type: 'float32', shape: ['batch', 'sequence', 8] }]),
    'config.json': { architectures: ['BertModel'], vocab_size: 288 },
    'modules.json': [{ path: '', type: 'sentence_transformers.models.Transformer' }],
    'config_sentence_transformers.json': { prompts: { query: 'query: ', plain: '' }, default_prompt_name: 'query' },
  });
  const { models } = await openRepository(folders.root);
  const face = await createModelFace(models.find(({ name }) => name === 'prompted')!);
  expect(face.card('http://localhost:8080')).toMatchObject({
    prompts: { query: 'query: ', plain: '' },
    default_prompt_name: 'query',
  });
  expect(embed.card('http://localhost:8080')).not.toHaveProperty('prompts');
});
