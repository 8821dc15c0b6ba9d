/** What pruning took is learnt again, and a trial that was ended on the way comes to the same end. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lossOf } from '../prune/choice.js';
import { neurons } from '../prune/neurons.js';
import { subjectOf } from '../prune/prune.testing.js';
import { contextOf } from '../testing/context.js';
import type { Candidate, Context, Example, Subject } from '../types.js';
import { headsHealed, layersHealed, neuronsHealed } from './healed.js';

/** In ms: what takes seconds on a machine with nothing else to do takes minutes on one with much. */
const PATIENCE = 600_000;

let runtime: Runtime;
let root: string;
beforeAll(async () => {
  runtime = await openRuntime();
  root = mkdtempSync(join(tmpdir(), 'shoal-healed-'));
});
afterAll(() => rmSync(root, { recursive: true }));

/** A small language model that was trained, with dialogues that it was not trained with: most to learn from, some to choose by. */
async function draft(): Promise<Subject> {
  const subject = await subjectOf(root, 'wordnet-lm-draft');
  const file = new URL('../../../../test/fixtures/checkpoints/wordnet-lm-draft/eval.jsonl', import.meta.url);
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  const items = lines.map((line): Example => ({ kind: 'text', ...(JSON.parse(line) as { text: string }) }));
  const part = (from: number, to: number) => ({ kind: 'text', items: items.slice(from, to), labelled: false }) as const;
  return { ...subject, data: { ...subject.data, calibration: part(0, 340), choice: part(340, 400) } };
}

const limits = { seconds: 3600 };

/** With as few steps as a test has time for. */
async function candidateOf(subject: Subject, kept: number, steps: number): Promise<Candidate> {
  const plan = await neuronsHealed.plan(subject, limits);
  if (typeof plan === 'string') throw new Error(plan);
  const found = plan.find(({ settings }) => settings.neurons === kept)!;
  return { ...found, settings: { ...found.settings, steps } };
}

describe('a decoder', { timeout: PATIENCE }, () => {
  test('with half of its neurons gone loses less of the texts that choose once it is trained', async () => {
    const subject = await draft();
    const [pruned, trained] = [join(root, 'pruned.onnx'), join(root, 'trained.onnx')];
    const candidate = await candidateOf(subject, 192, 60);
    await neurons.make({ ...candidate, method: 'neurons' }, subject, pruned, contextOf(runtime));
    const made = await neuronsHealed.make(candidate, subject, trained, contextOf(runtime));
    const [before, after] = [
      await lossOf(subject, pruned, contextOf(runtime)),
      await lossOf(subject, trained, contextOf(runtime)),
    ];
    expect(made.method).toMatch(/^192 of 384 neurons in each layer, trained/);
    expect(before).toBeGreaterThan(0.02);
    expect(after).toBeLessThan(0.9 * before);
  });

  test('ended on the way, and gone on with, is the same to the byte', async () => {
    const subject = await draft();
    const candidate = await candidateOf(subject, 192, 6);
    const make = async (path: string, state: string, context: Partial<Context> = {}) =>
      await neuronsHealed.make(candidate, subject, path, { ...contextOf(runtime), state, ...context });
    const [whole, parts] = [join(root, 'whole.onnx'), join(root, 'parts.onnx')];
    await make(whole, join(root, 'state-whole'));
    const state = join(root, 'state-parts');
    const ended = new AbortController();
    const onProgress = (share: number) => {
      if (share > 0.7) ended.abort(new Error('ended'));
    };
    await expect(make(parts, state, { signal: ended.signal, onProgress })).rejects.toThrow('ended');
    expect(existsSync(parts)).toBe(false);
    expect(existsSync(state)).toBe(true);
    await make(parts, state);
    expect(readFileSync(parts).equals(readFileSync(whole))).toBe(true);
  });

  test('may lose a quarter or half of neurons and layers, with the time that training takes in the plan', async () => {
    const subject = await subjectOf(root, 'wordnet-lm-draft');
    const plan = await neuronsHealed.plan(subject, limits);
    expect(plan).toMatchObject([
      { method: 'neurons-healed', variant: 'neurons320-healed', settings: { neurons: 320, rate: expect.any(Number) } },
      { method: 'neurons-healed', variant: 'neurons192-healed', settings: { steps: expect.any(Number) } },
    ]);
    const alone = await neurons.plan(subject, limits);
    expect((plan as Candidate[])[0]!.seconds).toBeGreaterThan((alone as Candidate[])[0]!.seconds);
    expect(await layersHealed.plan(subject, limits)).toMatchObject([{ variant: 'layers1-healed' }]);
  });
});

test('an encoder with a quarter of its neurons is trained too', async () => {
  const subject = await subjectOf(root, 'bert-classify');
  // It has 96 neurons: none to spare in steps of 64.
  expect(await neuronsHealed.plan(subject, limits)).toMatchObject([{ variant: 'neurons64-healed' }]);
  expect(await layersHealed.plan(subject, limits)).toMatch(/student/);
});

describe('what cannot be trained is told with the reason', () => {
  test('weights that are rounded', async () => {
    const subject = await subjectOf(root, 'llama');
    const rounded = join(root, 'rounded.onnx');
    cpSync(subject.path, rounded);
    const original = { ...subject.original, variant: 'int8', variants: { int8: rounded } };
    const plan = await neuronsHealed.plan({ ...subject, original, path: rounded }, limits);
    expect(plan).toMatch(/^there is no variant fp32 to begin from, only int8; import it with --dtype fp32$/);
  });

  test('frequencies that depend on the length of a text', async () => {
    const subject = await subjectOf(root, 'llama-dynamic');
    expect(await neuronsHealed.plan(subject, limits)).toMatch(/cannot be trained: .*frequencies that change/);
  });

  test('heads that share a norm', async () => {
    expect(await headsHealed.plan(await subjectOf(root, 'olmo2'), limits)).toMatch(/heads of Olmo2ForCausalLM/);
  });
});
