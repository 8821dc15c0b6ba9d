/** `shoal optimize` as a command: its plan, its progress, and what is said of what cannot be. */
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '@shoal/tools/user-error';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lineOf, optimizeModel } from './optimize-model.js';
import type { OptimizeOptions } from './program.js';
import { ProgressDisplay } from './progress.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const EXAMPLES = join(ROOT, 'test/fixtures/wordnet-topic/eval.jsonl');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-optimize-'));
  cpSync(join(ROOT, 'models/wordnet-topic'), join(folder, 'models/topic'), { recursive: true });
  cpSync(join(ROOT, 'models/wordnet-lm-draft'), join(folder, 'models/lm'), { recursive: true });
  cpSync(join(ROOT, 'models/wordnet-embed'), join(folder, 'models/embed'), { recursive: true });
  writeFileSync(join(folder, 'few.jsonl'), '{"text": "a"}\n{"text": "b"}\n');
  writeFileSync(
    join(folder, 'pairs.jsonl'),
    Array.from({ length: 200 }, (_, n) => `{"query": "q${n}", "document": "d${n}"}\n`).join(''),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What is printed, and what is thrown. */
async function optimized(changes: Partial<OptimizeOptions>) {
  const lines: string[] = [];
  const print = (line: string) => void lines.push(line);
  const display = new ProgressDisplay({ isTerminal: false, draw: () => {}, print, now: () => performance.now() });
  const options = {
    ...{ model: 'topic', data: EXAMPLES, maxLoss: 0.01, metric: undefined, time: 1800, methods: [] },
    ...{ force: false, plan: true, teacher: undefined, ...changes },
  };
  const place = { models: join(folder, 'models'), to: join(folder, 'optimize') };
  const error: unknown = await optimizeModel(options, place, display).catch((thrown: unknown) => thrown);
  return { text: lines.join('\n'), error };
}

test('the plan says what would be tried, how long that takes, and what cannot be made and why', async () => {
  const { text, error } = await optimized({});
  expect(error).toBeUndefined();
  expect(text).toMatch(/^topic@1, beside its variant fp32 \(6\.0 MB\); a loss of 1\.00 % is allowed\.$/m);
  expect(text).toMatch(/^eval\.jsonl: 411 labelled texts to learn from, 277 to choose by, 702 for the verdict\.$/m);
  expect(text).toMatch(/^\| int8 +\| int8 +\| \d+ s +\| \d+ s +\|$/m);
  expect(text).toMatch(/^fp16: processors widen 16-bit floats.*\.$/m);
  expect(text).toMatch(/^About .* with verdicts, of 30 min; what does not fit is left out, the last first\.$/m);
  const long = await optimized({ time: 36_000 });
  expect(long.text).toMatch(/^About .* with verdicts, of 10 h 0 min\.$/m);
  expect(readdirSync(join(folder, 'models/topic/1/onnx'))).toEqual(['model.onnx']);
});

test('a teacher that is away keeps nobody from a plan, and one of another kind of model is refused', async () => {
  const teacher = 'http://127.0.0.1:1';
  const { text, error } = await optimized({ teacher });
  expect(error).toBeUndefined();
  expect(text).toMatch(/^\| static-head +\|/m);
  const { error: refused } = await optimized({ teacher, model: 'lm' });
  expect((refused as UserError).message).toMatch(/^--teacher is for .*; lm serves text-generation: leave it out\.$/);
});

test('what the loss is one of is told, and what of the file has no part in it', async () => {
  expect((await optimized({ methods: ['int8'] })).text).toMatch(/^Judged by accuracy\.$/m);
  const rows = Array.from({ length: 200 }, (_, n) => `a text ${n},class ${n % 3}\n`).join('');
  const data = join(folder, 'columns.csv');
  writeFileSync(data, `text,class\n${rows}`);
  expect((await optimized({ data, methods: ['int8'] })).text).toMatch(
    /^No label column \(it has text, class\): judged by agreement with the original\.$/m,
  );
  const { text } = await optimized({ model: 'embed', methods: ['int8'] });
  expect(text).toMatch(/^eval\.jsonl: 411 texts to learn from/m);
  expect(text).toMatch(/^Judged by cosine to the original's vectors; not used: label\.$/m);
});

test('a model that has no variant in 32-bit floats is told what is missing', async () => {
  for (const plan of [true, false]) {
    const { text, error } = await optimized({ model: 'lm', data: EXAMPLES, plan });
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toBe(
      'nothing can be made of lm: there is no variant fp32 to begin from, only int8; import it with --dtype fp32',
    );
    expect(text).toBe('');
  }
  // No page takes the place of one that is there.
  expect(existsSync(join(folder, 'optimize/lm@1'))).toBe(false);
});

test.each<[changes: Partial<OptimizeOptions>, message: RegExp]>([
  [{ data: '/nowhere/a.jsonl' }, /^there is no file \/nowhere\/a\.jsonl$/],
  [{ model: 'none' }, /^there is no model none in /],
  [{ methods: ['int9'] }, /^there is no method "int9": did you mean int8 or int4\?$/],
  [{ time: 5 }, /^5 s are too short for anything: static-head alone takes about/],
  [{ plan: false, time: 5 }, /^5 s are too short for anything: static-head alone takes about/],
])('%j is refused in a line of its own', async (changes, message) => {
  const { error } = await optimized(changes);
  expect(error).toBeInstanceOf(UserError);
  expect((error as UserError).message).toMatch(message);
});

test.each([
  ['few.jsonl', /^few\.jsonl: 2 different texts make parts of/],
  [
    'pairs.jsonl',
    /^a model of text-classification is not measured by such lines: give \{"text", "label"\} or \{"text"\}$/,
  ],
])('data that tell nothing are refused before anything is made: %s', async (name, message) => {
  const { error } = await optimized({ data: join(folder, name), plan: false });
  expect((error as UserError).message).toMatch(message);
  expect(existsSync(join(folder, 'optimize/topic@1/made'))).toBe(false);
});

test('the line of progress has the share, the time that is left, what is done, and the best so far', () => {
  expect(lineOf({ share: 0, secondsLeft: 61.2, doing: 'int8 is made', best: undefined })).toBe(
    '  [--------------------] 0 %, 1 min 2 s left  int8 is made',
  );
  expect(lineOf({ share: 0.42, secondsLeft: 3, doing: 'int4 is judged', best: 'int8 1.52×, loses 0.10 %' })).toBe(
    '  [########------------] 42 %, 3 s left  int4 is judged; best so far: int8 1.52×, loses 0.10 %',
  );
});
