/** Training makes a model better that something was left out of, and ends the same however often it was interrupted. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openModel } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readData } from '../data/read-data.js';
import { printOfModel } from '../journal/keys.js';
import { TABLE } from '../methods/table.js';
import { choiceLoss } from '../prune/choice.js';
import { keepLayers } from '../prune/edits.js';
import { subjectOf } from '../prune/prune.testing.js';
import { openOrThrow } from '../prune/subject.js';
import { contextOf } from '../testing/context.js';
import { heldOut } from '../testing/examples.js';
import { dataOf, ModelCopy } from '../testing/model-copy.js';
import type { MakeOrder } from '../trial/messages.js';
import { runTrial } from '../trial/run-trial.js';
import type { Candidate, Context, Subject } from '../types.js';
import { encoderLesson } from './encoder-lesson.js';
import { heal } from './heal.js';
import { isStoredInHalves } from './numbers.js';
import { student } from './student.js';
import type { HealOrder } from './types.js';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const EXAMPLES = join(ROOT, 'test/fixtures/wordnet-topic/eval.jsonl');
/** In ms: what takes seconds on a machine with nothing else to do takes minutes on one with much. */
const PATIENCE = 600_000;

let runtime: Runtime;
let root: string;
beforeAll(async () => {
  runtime = await openRuntime();
  root = mkdtempSync(join(tmpdir(), 'shoal-heal-'));
  cpSync(join(ROOT, 'models/wordnet-topic'), join(root, 'topic'), { recursive: true });
});
afterAll(() => rmSync(root, { recursive: true }));

/** Trains what is left with the first layer alone. */
function orderOf(subject: Subject): HealOrder {
  return {
    async begin() {
      const { served, anatomy } = openOrThrow(subject);
      return { parts: keepLayers(served, anatomy, [0]), made: { method: 'layers 0', notes: [] } };
    },
    lesson: (context) => encoderLesson(subject, context),
    schedule: { steps: 40, batch: 8, accumulate: 2, rate: 3e-3 },
  };
}

const candidateOf = (layers: number, steps: number): Candidate => ({
  ...{ method: 'student', variant: `student${layers}`, seconds: 1 },
  settings: { layers, teacher: 0.5, steps, batch: 32, accumulate: 1, rate: 5e-4 },
});

test(
  'an embedding model with one of its layers is nearer to the whole one after a few steps, and stored as narrow as that',
  async () => {
    const copy = new ModelCopy('wordnet-embed');
    try {
      const texts = heldOut<{ document: string }>('wordnet-embed').map(
        ({ document }) => ({ kind: 'text', text: document }) as const,
      );
      const original = await copy.model();
      const subject = { original, path: copy.pathOf('fp32'), data: dataOf(texts.slice(0, 640), texts.slice(640, 740)) };
      const path = copy.pathOf('trained');
      const order = { ...orderOf(subject), schedule: { steps: 20, batch: 32, accumulate: 1, rate: 1e-3 } };
      const { best, evaluations, made } = await heal(order, subject, path, contextOf(runtime));
      expect(evaluations[0]!.step).toBe(0);
      expect(best.loss).toBeLessThan(0.7 * evaluations[0]!.loss);
      expect(made.method).toBe(`layers 0, trained ${best.step} steps`);
      // What was written is what was evaluated, and nothing else is left.
      expect((await choiceLoss(subject, path, contextOf(runtime), 1000)).mean).toBe(best.loss);
      expect(isStoredInHalves(path)).toBe(true);
      expect(readdirSync(dirname(path)).sort()).toEqual(['model.onnx', 'model_trained.onnx']);
    } finally {
      copy.remove();
    }
  },
  PATIENCE,
);

test('steps and their sizes follow from texts and time; language models have no students', async () => {
  const [original] = await openModel(join(root, 'topic'));
  const subject: Subject = { original: original!, path: original!.variants.fp32!, data: readData(EXAMPLES, original) };
  expect(await student.plan(subject)).toMatchObject([
    { variant: 'student2', settings: { layers: 2, teacher: 0.5 } },
    { variant: 'student1', settings: { layers: 1, teacher: 0.5 } },
  ]);
  expect(student.tasks).not.toContain('text-generation');
  expect(await student.plan(await subjectOf(root, 'albert'))).toMatch(/share their weights/);
  expect(await student.plan(await subjectOf(root, 'ce-three-sigmoid'))).toMatch(/no layer that could go: 1 in all/);
});

describe('interrupted', () => {
  test('between two evaluations, it goes on at the last state, and forgets what was noted later', async () => {
    const subject = await subjectOf(root, 'bert', undefined, 180);
    const order = orderOf(subject);
    const paths = ['straight', 'resumed'].map((name) => join(root, `${name}.onnx`));
    const [straight, resumed] = paths as [string, string];
    const whole = await heal(order, subject, straight, contextOf(runtime));
    expect(whole.best.loss).toBeLessThan(whole.evaluations[0]!.loss);

    const state = join(root, 'state');
    const stop = new AbortController();
    const reason = new Error('enough');
    const context: Context = { ...contextOf(runtime), state };
    // Behind the 18th of 40 steps: that of the 16th was evaluated.
    const onProgress = (share: number) => void (share > 0.3 + 0.7 * (17.5 / 40) && stop.abort(reason));
    const ended = heal(order, subject, resumed, { ...context, signal: stop.signal, onProgress });
    await expect(ended).rejects.toBe(reason);
    const noted = join(state, 'evaluations.json');
    const evaluations = JSON.parse(readFileSync(noted, 'utf8')) as unknown[];
    expect(evaluations).toHaveLength(5);
    writeFileSync(noted, JSON.stringify([...evaluations, { step: 20, loss: -1, error: 0 }]));

    const said: string[] = [];
    const begin = () => Promise.reject(new Error('it has begun already'));
    const again = await heal({ ...order, begin }, subject, resumed, {
      ...context,
      say: (line) => void said.push(line),
    });
    expect(said).toContain('training goes on at step 16');
    expect(again.evaluations).toEqual(whole.evaluations);
    expect(readFileSync(resumed).equals(readFileSync(straight))).toBe(true);
  });

  test('a state of other settings is told, and begun anew', async () => {
    const subject = await subjectOf(root, 'bert', undefined, 180);
    const order = orderOf(subject);
    const state = join(root, 'other');
    const context = { ...contextOf(runtime), state };
    const short = { ...order, schedule: { ...order.schedule, steps: 4 } };
    await heal(short, subject, join(root, 'short.onnx'), context);
    const said: string[] = [];
    const slow = { ...short, schedule: { ...short.schedule, rate: 1e-3 } };
    const found = await heal(slow, subject, join(root, 'slow.onnx'), {
      ...context,
      say: (line) => void said.push(line),
    });
    expect(said[0]).toMatch(/^training begins anew: .*learningRate 0\.003, and this one has 0\.001/);
    expect(found.steps).toBe(4);
  });

  test(
    'a trial that is killed amid training goes on in another process, and makes the same bytes',
    async () => {
      const straight = await trialOrder('straight-trial');
      const quiet = { limitMs: PATIENCE, signal: new AbortController().signal, say: () => {}, onProgress: () => {} };
      expect(await runTrial(straight, quiet)).toMatchObject({ kind: 'made' });

      const killed = await trialOrder('killed-trial');
      const stop = new AbortController();
      const reason = new Error('killed');
      const onProgress = (share: number) => void (share > 0.6 && stop.abort(reason));
      await expect(runTrial(killed, { ...quiet, signal: stop.signal, onProgress })).rejects.toBe(reason);
      expect(existsSync(killed.path)).toBe(false);
      const said: string[] = [];
      const end = await runTrial(killed, { ...quiet, say: (line) => void said.push(line) });
      expect(end).toMatchObject({ kind: 'made' });
      expect(said).toContainEqual(expect.stringMatching(/^training goes on at step [1-9]/));
      expect(readFileSync(killed.path).equals(readFileSync(straight.path))).toBe(true);
    },
    PATIENCE,
  );

  async function trialOrder(name: string): Promise<MakeOrder & { readonly state: string }> {
    const [original] = await openModel(join(root, 'topic'));
    const folder = join(root, name);
    mkdirSync(folder);
    const dataFile = join(folder, 'data.jsonl');
    writeFileSync(dataFile, readFileSync(EXAMPLES, 'utf8').split('\n').slice(0, 240).join('\n'));
    const path = original!.variants.fp32!;
    const print = await printOfModel(original!, path, new AbortController().signal);
    const { sha256 } = readData(dataFile, original);
    return {
      ...{ kind: 'make', methods: TABLE.module, candidate: candidateOf(1, 30), seed: 1 },
      subject: { original: original!, path, print, dataFile, dataSha256: sha256 },
      ...{ path: join(folder, 'model.onnx'), state: join(folder, 'state') },
    };
  }
});
