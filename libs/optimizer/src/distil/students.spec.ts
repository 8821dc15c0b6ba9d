/** Students made as `shoal optimize` makes them, of real models, served from their folders. */
import { createModelFace, findJoining, loadRunner, type Model, type ModelRunner } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contextOf } from '../testing/context.js';
import { heldOut } from '../testing/examples.js';
import { dataOf, ModelCopy } from '../testing/model-copy.js';
import type { Data, Example, Method, Subject } from '../types.js';
import { cascade } from './cascade.js';
import { staticHead } from './static-head.js';
import { staticRanker } from './static-ranker.js';
import { staticStudent } from './static-student.js';

/** In ms: a fit takes seconds on a machine with nothing else to do, and minutes on one with much. */
const PATIENCE = 600_000;

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime();
});

async function subjectOf(copy: ModelCopy, data: Data): Promise<Subject> {
  return { original: await copy.model(), path: copy.pathOf('fp32'), data };
}

async function make(method: Method, subject: Subject, copy: ModelCopy): Promise<Model> {
  const planned = await method.plan(subject);
  if (typeof planned === 'string') throw new Error(planned);
  const [candidate] = planned;
  await method.make(candidate!, subject, copy.pathOf(candidate!.variant), contextOf(runtime));
  return await copy.model(candidate!.variant);
}

/** As a worker has it. */
async function load(model: Model): Promise<ModelRunner> {
  const session = await runtime.createSession(model.variants[model.variant]!);
  const device = { runtimeVersion: runtime.version, device: 'cpu', deviceOptions: {} };
  const { joining } = await findJoining(model, session, { ...device, now: () => performance.now() });
  return loadRunner(model, session, joining);
}

/** What callers see. */
async function answers<T>(model: Model, input: readonly string[]): Promise<readonly T[]> {
  const runner = await load(model);
  const face = await createModelFace(model);
  const encoded = await face.encode({ input });
  const outputs = await runner.run(encoded.items.map((item) => ({ item, parameters: encoded.parameters })));
  await runner.close();
  const shown = face.present(
    encoded,
    outputs.map((output) => (output instanceof Error ? null : { output })),
  );
  return [...(shown.output as Iterable<T>)];
}

describe('of an embedding model', () => {
  const pairs = heldOut<{ query: string; document: string }>('wordnet-embed').map(
    (pair) => ({ kind: 'pair', ...pair }) as const,
  );
  let copy: ModelCopy;
  beforeAll(() => {
    copy = new ModelCopy('wordnet-embed');
  });
  afterAll(() => copy.remove());

  test(
    'the static student answers unseen texts with vectors near the teacher’s, of the same size',
    async () => {
      const subject = await subjectOf(copy, dataOf(pairs.slice(0, 400), pairs.slice(400, 450)));
      const student = await make(staticStudent, subject, copy);
      expect([student.task, student.dimensions]).toEqual(['feature-extraction', 192]);
      const texts = pairs.slice(450, 550).map(({ document }) => document);
      const own = await answers<readonly number[]>(student, texts);
      const theirs = await answers<readonly number[]>(subject.original, texts);
      const cosine = (n: number, m: number) => own[n]!.reduce((sum, value, c) => sum + value * theirs[m]![c]!, 0);
      const mean = (of: (n: number) => number) => texts.reduce((sum, _, n) => sum + of(n), 0) / texts.length;
      // Both are of unit length.
      expect(mean((n) => cosine(n, n))).toBeGreaterThan(0.5);
      expect(mean((n) => cosine(n, n)) - mean((n) => cosine(n, (n + 1) % texts.length))).toBeGreaterThan(0.2);
    },
    PATIENCE,
  );

  test.each([
    [dataOf(pairs.slice(0, 10), pairs.slice(10, 20)), 'texts.jsonl: 20 different texts are too few to learn from'],
    [dataOf(new Array<Example>(99).fill({ kind: 'text', text: 'the same' }), []), '1 different texts are too few'],
    [dataOf(pairs.slice(0, 100), []), 'the part for choosing: 0 different texts are too few'],
  ])('too few texts are refused in one line', async (data, message) => {
    await expect(make(staticStudent, await subjectOf(copy, data), copy)).rejects.toThrow(message);
  });

  test('a tokenizer of another model is refused in one line', async () => {
    const other = new ModelCopy('wordnet-embed');
    other.edit('config.json', { vocab_size: 900 });
    const subject = await subjectOf(other, dataOf(pairs.slice(0, 100), pairs.slice(100, 110)));
    await expect(make(staticStudent, subject, other)).rejects.toThrow(
      /makes the token \d+, and config.json has a vocab_size of 900/,
    );
    other.remove();
  });

  test('methods for other tasks say that they are', () => {
    for (const { tasks } of [staticHead, cascade, staticRanker]) expect(tasks).not.toContain('feature-extraction');
  });
});

describe('of a classifier', () => {
  type Scored = readonly { readonly label: string }[];
  const texts = heldOut<{ text: string; label: string }>('wordnet-topic').map(
    (text) => ({ kind: 'text', ...text }) as const,
  );
  const [calibration, choice, verdict] = [texts.slice(0, 500), texts.slice(500, 890), texts.slice(890, 1090)];
  let copy: ModelCopy;
  let subject: Subject;
  let theirs: readonly string[];
  const agreement = async (model: Model) => {
    const own = await answers<Scored>(
      model,
      verdict.map(({ text }) => text),
    );
    return own.filter(([best], n) => best!.label === theirs[n]).length / verdict.length;
  };
  beforeAll(async () => {
    copy = new ModelCopy('wordnet-topic');
    subject = await subjectOf(copy, dataOf(calibration, choice, true));
    const own = await answers<Scored>(
      subject.original,
      verdict.map(({ text }) => text),
    );
    theirs = own.map(([best]) => best!.label);
  });
  afterAll(() => copy.remove());

  test(
    'the static head agrees with the teacher on most of the unseen texts',
    async () => {
      // The commonest class alone would be right of less than a fifth.
      expect(await agreement(await make(staticHead, subject, copy))).toBeGreaterThan(0.5);
    },
    PATIENCE,
  );

  test(
    'the cascade answers as the teacher where it matters, and asks it for a part of the texts only',
    async () => {
      const candidates = await cascade.plan(subject);
      if (typeof candidates === 'string') throw new Error(candidates);
      const candidate = candidates.find(({ settings }) => settings.budget === 0.02)!;
      const { notes } = await cascade.make(candidate, subject, copy.pathOf(candidate.variant), contextOf(runtime));
      const asked = Number(/the teacher answers ([\d.]+) %/.exec(notes[0]!)?.[1]);
      expect(asked).toBeGreaterThan(0);
      expect(asked).toBeLessThan(100);
      const model = await copy.model(candidate.variant);
      expect(await agreement(model)).toBeGreaterThan(0.9);
      // Made-up texts reach the teacher, so that a worker joins rows.
      const runner = await load(model);
      expect(runner.joining).toEqual({ rows: 'any-length', reason: null });
      await runner.close();
    },
    PATIENCE,
  );

  test('labels that are none of the model’s are refused in one line', async () => {
    const wrong = choice.map((text) => ({ ...text, label: 'no such class' }));
    const data = dataOf(calibration, wrong, true);
    await expect(make(staticHead, { ...subject, data }, copy)).rejects.toThrow(
      "none of its labels is one of the model's",
    );
  });
});
