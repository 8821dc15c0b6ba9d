/** `shoal evaluate` on a bundled classifier and a copy that was damaged: what it prints, and how it ends. */
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dataOf, loadModel, saveModel } from '@shoal/onnx';
import { UserError } from '@shoal/tools/user-error';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { evaluateModel } from './evaluate-model.js';
import type { EvaluateOptions } from './program.js';
import { Refused } from './refused.js';

const TOPIC = fileURLToPath(new URL('../../../models/wordnet-topic', import.meta.url));
const EXAMPLES = fileURLToPath(new URL('../../../test/fixtures/wordnet-topic/eval.jsonl', import.meta.url));

let models: string;
let data: string;
beforeAll(() => {
  models = mkdtempSync(join(tmpdir(), 'shoal-evaluate-'));
  cpSync(TOPIC, join(models, 'topic'), { recursive: true });
  const onnx = join(models, 'topic/1/onnx');
  saveModel(withoutWeights(join(onnx, 'model.onnx')), join(onnx, 'model_broken.onnx'));
  mkdirSync(join(models, 'files'));
  data = join(models, 'files', 'few.jsonl');
  writeFileSync(data, readFileSync(EXAMPLES, 'utf8').split('\n').slice(0, 150).join('\n'));
});
afterAll(() => rmSync(models, { recursive: true }));

/** Every other tensor is 0. */
function withoutWeights(path: string) {
  const model = loadModel(path);
  let large = 0;
  for (const [name, { type, dims, data: bytes }] of model.graph.initializers) {
    if (!type.startsWith('float') || dims.length !== 2 || large++ % 2 === 0) continue;
    model.graph.initializers.set(name, { type, dims, data: dataOf(new Uint8Array(bytes.byteLength)) });
  }
  return model;
}

async function evaluate(changes: Partial<EvaluateOptions>) {
  const lines: string[] = [];
  const options = {
    ...{ original: 'topic', candidate: 'topic:broken', data, maxLoss: 0.01, metric: undefined },
    ...{ json: false, keep: false },
  };
  // Fifty times as fast, so that timings are short: what they come to is nothing here.
  const now = () => 50 * performance.now();
  const write = (line: string) => void lines.push(line);
  const ended: unknown = await evaluateModel({ ...options, ...changes }, models, write, now).catch(
    (error: unknown) => error,
  );
  return { lines, text: lines.join('\n'), ended };
}

test('a broken variant is refused with what it lost, in a table, and nothing is kept of it', async () => {
  const { text, ended } = await evaluate({ keep: true });
  expect(ended).toBeInstanceOf(Refused);
  expect((ended as Refused).exitCode).toBe(2);
  expect((ended as Refused).message).toMatch(
    /^refused: accuracy: a loss of \d+\.\d+ %, at most .*; 1\.00 % is allowed\.$/,
  );
  expect(text).toMatch(/^topic@1:broken beside topic@1:fp32, by \d+ examples of few\.jsonl:/);
  expect(text).toMatch(/\| accuracy +\| 0\.\d+ +\| 0\.\d+ +\|/);
  expect(text).toMatch(/speed, 1 × \d+ tokens: \d\.\d\d× \(/);
  expect(existsSync(join(models, 'topic/1/quality.json'))).toBe(false);
});

// Nothing is read-only to root.
test.skipIf(process.getuid?.() === 0)('what could not be kept is not measured', async () => {
  const folder = join(models, 'topic/1');
  chmodSync(folder, 0o555);
  onTestFinished(() => chmodSync(folder, 0o755));
  const { lines, ended } = await evaluate({ keep: true, data: '/nowhere/a.jsonl' });
  expect((ended as UserError).message).toMatch(/quality\.json cannot be written \(EACCES\): make the folder writable/);
  expect(lines).toEqual([]);
});

test('as JSON it is one value with everything in it', async () => {
  const { text } = await evaluate({ json: true, metric: 'agreement' });
  expect(JSON.parse(text)).toMatchObject({
    original: 'topic@1:fp32',
    candidate: 'topic@1:broken',
    data: { file: 'few.jsonl', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    loss: { metric: 'agreement', mean: expect.any(Number), bound: expect.any(Number), texts: expect.any(Number) },
    speeds: [{ batch: 1 }, { batch: 8 }, { batch: 32 }],
    verdict: { kind: 'worse' },
  });
});

test.each<[changes: Partial<EvaluateOptions>, message: string]>([
  [{ original: 'none' }, 'no model of this name'],
  [{ candidate: 'topic:int3' }, 'topic@1 has no variant int3, only'],
  [{ data: '/nowhere/a.jsonl' }, 'there is no file /nowhere/a.jsonl'],
  [{ metric: 'cosine' }, 'with such lines, text-classification is measured by accuracy or agreement, not by cosine'],
  [{ candidate: 'topic', keep: true }, '--keep notes what a variant loses beside another of its own version'],
])('%j is refused in a line of its own', async (changes, message) => {
  const { lines, ended } = await evaluate(changes);
  expect(ended).toBeInstanceOf(UserError);
  expect(ended).not.toBeInstanceOf(Refused);
  expect((ended as UserError).message).toContain(message);
  expect(lines).toEqual([]);
});
