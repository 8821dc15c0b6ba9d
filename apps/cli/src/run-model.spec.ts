/** `shoal run` on a small imported model: its answers are those of PyTorch, through its tokenizer and chat template. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { buildModel, float32, openCheckpoint } from '@shoal/importer';
import { saveModel } from '@shoal/onnx';
import { UserError } from '@shoal/tools/user-error';
import { afterAll, beforeAll, expect, test } from 'vitest';
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
});
afterAll(() => rmSync(models, { recursive: true }));

async function run(changes: Partial<RunRequest>, lines: readonly string[] = []) {
  let text = '';
  const said: string[] = [];
  await runModel({ model: 'draft', prompt: undefined, maxTokens: 40, variant: undefined, ...changes }, models, {
    input: Readable.from(lines.map((line) => `${line}\n`)),
    write: (more) => {
      text += more;
    },
    say: (line) => said.push(line),
    question: '',
  });
  return { text, said };
}

test('answers the prompt that is given, from the newest version of the model, and says how fast', async () => {
  const [{ prompt, greedy_text: expected }] = greedy as [Reference];
  const { text, said } = await run({ prompt });
  expect(text).toBe(`${expected}\n`);
  expect(said).toEqual([expect.stringMatching(/^\d+ tokens read in \d+ ms, \d+ written, [\d.]+ tokens\/s$/)]);
});

test('answers each line of the input', async () => {
  const { text } = await run(
    { model: join(models, 'draft') },
    greedy.map(({ prompt }) => prompt),
  );
  expect(text).toBe(greedy.map(({ greedy_text: expected }) => `${expected}\n`).join(''));
});

test.each<[message: RegExp, changes: Partial<RunRequest>]>([
  [/no folder missing, and no model of this name/, { model: 'missing' }],
  [/no variant int4, only fp32/, { variant: 'int4' }],
  [/no variant constructor, only fp32/, { variant: 'constructor' }],
  [/no variant __proto__, only fp32/, { variant: '__proto__' }],
  [/serves text-classification; "shoal run" is for models that generate text/, { model: TOPIC }],
  [/is a checkpoint: "shoal import/, { model: CHECKPOINT }],
  [/has \d+ tokens; prompt and answer may have 256/, { prompt: 'word '.repeat(300) }],
])('%s', async (message, changes) => {
  const fault = await run({ prompt: 'Define otter (noun).', ...changes }).catch((error: unknown) => error);
  expect(fault).toBeInstanceOf(UserError);
  expect((fault as UserError).message).toMatch(message);
});
