/** `shoal run` on a small imported model: its answers are those of PyTorch, through its tokenizer and chat template. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { buildModel, float32, openCheckpoint } from '@shoal/importer';
import { saveModel } from '@shoal/onnx';
import { UserError } from '@shoal/tools/user-error';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunRequest, runModel } from './run-model.js';

const CHECKPOINT = fileURLToPath(new URL('../../../test/fixtures/checkpoints/wordnet-lm-draft', import.meta.url));
const TOPIC = fileURLToPath(new URL('../../../models/wordnet-topic', import.meta.url));
const FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];

interface Reference {
  readonly prompt: string;
  readonly greedy_text: string;
}
const { greedy } = JSON.parse(readFileSync(join(CHECKPOINT, 'reference.json'), 'utf8')) as { greedy: Reference[] };

let models: string;
beforeAll(() => {
  models = mkdtempSync(join(tmpdir(), 'shoal-run-'));
  const version = join(models, 'draft', '2');
  mkdirSync(join(version, 'onnx'), { recursive: true });
  for (const file of FILES) cpSync(join(CHECKPOINT, file), join(version, file));
  const config: unknown = JSON.parse(readFileSync(join(CHECKPOINT, 'config.json'), 'utf8'));
  const model = buildModel({ config, checkpoint: openCheckpoint(CHECKPOINT), precision: float32 });
  saveModel(model, join(version, 'onnx', 'model.onnx'));
  cpSync(version, join(models, 'bare'), { recursive: true });
  cpSync(version, join(models, 'draft', '1'), { recursive: true });
  renameSync(join(models, 'draft', '1', 'onnx', 'model.onnx'), join(models, 'draft', '1', 'onnx', 'model_int8.onnx'));
  const aliases = { prod: { 'draft@1': 9, 'draft@2': 1 }, lost: 'gone' };
  writeFileSync(join(models, 'models.json'), JSON.stringify({ aliases }));
  rmSync(join(models, 'bare', 'chat_template.jinja'));
  cpSync(version, join(models, 'silent'), { recursive: true });
  writeFileSync(join(models, 'silent', 'chat_template.jinja'), "{{ raise_exception('no talking') }}");
});
afterAll(() => rmSync(models, { recursive: true }));

const REQUEST: RunRequest = {
  ...{ model: 'draft', prompt: undefined, variant: undefined, context: undefined },
  settings: { max_tokens: 40 },
};

async function run(changes: Partial<RunRequest>, lines: readonly string[] = []) {
  let text = '';
  const said: string[] = [];
  await runModel({ ...REQUEST, ...changes }, models, {
    input: Readable.from(lines.map((line) => `${line}\n`)),
    screen: undefined,
    write: (more) => {
      text += more;
    },
    say: (line) => said.push(line),
    interrupt: () => said.push('interrupted'),
  });
  return { text, said };
}

test('answers the prompt that is given, from the newest version of the model, and says how fast', async () => {
  const [{ prompt, greedy_text: expected }] = greedy as [Reference];
  const { text, said } = await run({ prompt });
  expect(text).toBe(`${expected}\n`);
  expect(said).toEqual([
    expect.stringMatching(/^\d+ tokens read \(0 cached\), first token after \d+ ms, \d+ written, [\d.]+ tokens\/s$/),
  ]);
});

test('answers each line of the input for itself, also one that begins as a command', async () => {
  const prompts = greedy.map(({ prompt }) => prompt);
  const { text } = await run({ model: join(models, 'draft') }, prompts);
  expect(text).toBe(greedy.map(({ greedy_text: expected }) => `${expected}\n`).join(''));
  const [slash, alone] = [await run({}, [prompts[0]!, '/help']), await run({ prompt: '/help' })];
  expect(slash.text.endsWith(`\n${alone.text}`)).toBe(true);
});

test('a variant is that of the newest version which has it, and a version is the one that is named', async () => {
  const [{ prompt, greedy_text: expected }] = greedy as [Reference];
  for (const model of ['draft:int8', 'draft@2:fp32', 'prod'])
    expect((await run({ model, prompt })).text).toBe(`${expected}\n`);
  await expect(run({ model: 'draft@1:fp32', prompt })).rejects.toThrow('has no variant fp32, only int8');
});

describe('settings', () => {
  const prompt = 'Define otter (noun).';

  test('sample: the same seed gives the same answer, another one another', async () => {
    const sampled = async (seed: number) => (await run({ prompt, settings: { seed, max_tokens: 24 } })).text;
    const [first, again, other] = [await sampled(7), await sampled(7), await sampled(8)];
    expect(again).toBe(first);
    expect(other).not.toBe(first);
  });

  test('end the answer before a stop string, and at its longest', async () => {
    const [{ prompt: known, greedy_text: whole }] = greedy as [Reference];
    const stop = whole.slice(12, 16);
    const { text } = await run({ prompt: known, settings: { stop: [stop] } });
    expect(text).toBe(`${whole.slice(0, whole.indexOf(stop))}\n`);
    const { said } = await run({ prompt: known, settings: { max_tokens: 3 } });
    expect(said).toEqual([expect.stringMatching(/, 3 written; cut off at max-tokens, 3$/)]);
  });

  test('that nobody chose are those which the makers of the model advise', async () => {
    const advised = join(models, 'sampling');
    cpSync(join(models, 'draft', '2'), advised, { recursive: true });
    writeFileSync(join(advised, 'generation_config.json'), JSON.stringify({ do_sample: true, temperature: 1 }));
    const answers = Array.from({ length: 3 }, () => run({ model: 'sampling', prompt }));
    const texts = new Set((await Promise.all(answers)).map(({ text }) => text));
    expect(texts.size).toBeGreaterThan(1);
    const greedily = async (model: string) =>
      (await run({ model, prompt, settings: { temperature: 0, top_k: 0 } })).text;
    expect(await greedily('sampling')).toBe(await greedily('draft'));
  });

  test('for the system message stand before the prompt, as the template has it', async () => {
    const { said } = await run({ prompt });
    const system = await run({ prompt, settings: { system: 'Answer in rhymes.', max_tokens: 40 } });
    expect(tokensRead(system.said[0])).toBeGreaterThan(tokensRead(said[0]));
  });
});

function tokensRead(line: string | undefined): number {
  return Number(/^(\d+) tokens read/.exec(line ?? '')?.[1]);
}

test.each<[message: RegExp, changes: Partial<RunRequest>]>([
  [/no folder missing, and no model of this name/, { model: 'missing' }],
  [/draft:fp32 is the variant fp32, and --variant says int8/, { model: 'draft:fp32', variant: 'int8' }],
  [/no folder lost, and no model of this name, which stands for gone, in/, { model: 'lost' }],
  [/no model of this name in .*: "npx shoal models ls" lists/, { model: '../draft' }],
  [/draft has no version 3, only 2, 1$/, { model: 'draft@3' }],
  [/config.json is a file: "npx shoal import .*config.json" makes a model/, { model: join(CHECKPOINT, 'config.json') }],
  [/no variant int4, only fp32/, { variant: 'int4' }],
  [/no variant constructor, only fp32/, { variant: 'constructor' }],
  [/no variant __proto__, only fp32/, { variant: '__proto__' }],
  [/serves text-classification; "shoal run" is for models that generate text/, { model: TOPIC }],
  [/is a checkpoint: "npx shoal import/, { model: CHECKPOINT }],
  [/^the prompt has \d+ tokens, prompt and answer may have 256/, { prompt: 'word '.repeat(300) }],
  [/^the prompt has \d+ tokens, prompt and answer may have 8/, { context: 8 }],
  [/^the prompt must not be empty/, { model: 'bare', prompt: '' }],
  [/^the chat template refuses them: .*no talking/, { model: 'silent' }],
  [/^system is for models with a chat template/, { model: 'bare', settings: { system: 'a' } }],
])('%s', async (message, changes) => {
  const fault = await run({ prompt: 'Define otter (noun).', ...changes }).catch((error: unknown) => error);
  expect(fault).toBeInstanceOf(UserError);
  expect((fault as UserError).message).toMatch(message);
});
