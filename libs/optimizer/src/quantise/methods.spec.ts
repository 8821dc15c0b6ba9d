/** The methods on models of the repository: what they make is as small as it says, and nearer to fp32 than plain rounding. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { precisionOf } from '@shoal/importer';
import { sessionModel } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keepLayers } from '../prune/edits.js';
import { openOrThrow, write } from '../prune/subject.js';
import { contextOf } from '../testing/context.js';
import type { Candidate, Method, Subject } from '../types.js';
import { type Harm, harmBeside } from './harm.js';
import { int4Importance, int4Mixed } from './int4.js';
import { int8Smooth } from './int8-smooth.js';
import { openTexts } from './open-texts.js';
import { bundled, imported, subjectOf } from './subject.testing.js';
import { buildOf } from './workshop.js';

const { signal } = new AbortController();
/** In ms: an import takes one or two seconds, and many on a busy machine. */
const HANGS = 120_000;

let runtime: Runtime;
let folder: string;
beforeAll(async () => {
  runtime = await openRuntime();
  folder = mkdtempSync(join(tmpdir(), 'shoal-methods-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function planned(method: Method, subject: Subject): Promise<readonly Candidate[]> {
  const plan = await method.plan(subject);
  if (typeof plan === 'string') throw new Error(plan);
  return plan;
}

/** Of the graph in a file, over texts that nothing was learnt from. */
async function harmOf(path: string, harm: Harm): Promise<number> {
  const session = await runtime.createSession(sessionModel(path));
  try {
    return await harm(session);
  } finally {
    await session.release();
  }
}

async function beside(subject: Subject): Promise<Harm> {
  const texts = await openTexts(subject.original, subject.data.verdict, { tokens: 1500, signal });
  const original = await runtime.createSession(sessionModel(subject.path));
  return await harmBeside(original, texts).finally(() => original.release());
}

describe('a decoder in 4 bits', () => {
  let subject: Subject;
  let harm: Harm;
  let plain: { readonly harm: number; readonly bytes: number };
  let remove = () => {};
  beforeAll(async () => {
    const { model, remove: removeModel } = await imported(runtime, 'wordnet-lm-draft');
    remove = removeModel;
    subject = subjectOf(model, 'checkpoints/wordnet-lm-draft/eval.jsonl');
    harm = await beside(subject);
    const path = join(folder, 'plain.onnx');
    buildOf(subject)(precisionOf('int4', 'decoder'), path);
    plain = { harm: await harmOf(path, harm), bytes: statSync(path).size };
  }, HANGS);
  afterAll(() => remove());

  test('rounded by importance is nearer to fp32 in the same bytes', async () => {
    const [candidate] = await planned(int4Importance, subject);
    const path = join(folder, 'importance.onnx');
    const made = await int4Importance.make(candidate!, subject, path, contextOf(runtime));
    expect(made.notes.join()).toMatch(/over \d+ calibration texts of \d+ tokens/);
    expect(statSync(path).size).toBe(plain.bytes);
    expect(await harmOf(path, harm)).toBeLessThan(0.97 * plain.harm);
  });

  test('begun from fewer layers, it is calibrated with their cache and not with the original’s', async () => {
    const { served, anatomy } = openOrThrow(subject);
    const [from, path] = [join(folder, 'fewer.onnx'), join(folder, 'fewer-int4.onnx')];
    write(subject, keepLayers(served, anatomy, [0]), from);
    const [candidate] = await planned(int4Importance, subject);
    const made = await int4Importance.make(candidate!, { ...subject, path: from }, path, contextOf(runtime));
    expect(made.notes.join()).toMatch(/over \d+ calibration texts/);
    expect(statSync(path).size).toBeLessThan(plain.bytes);
  });

  test('mixed by measured harm is nearer still, in no more bytes', async () => {
    const [candidate, larger] = await planned(int4Mixed, subject);
    expect([candidate!.settings.bytes, larger!.settings.bytes]).toEqual([1, 1.2]);
    const path = join(folder, 'mixed.onnx');
    const { method, notes } = await int4Mixed.make(candidate!, subject, path, contextOf(runtime));
    expect(method).toMatch(/\d+ × int/);
    expect(notes.join()).toMatch(/their sum says a divergence of [\d.e-]+ nats, the whole has [\d.e-]+/);
    // Names of weights differ in length.
    expect(statSync(path).size).toBeLessThan(1.002 * plain.bytes);
    expect(await harmOf(path, harm)).toBeLessThan(0.92 * plain.harm);
  });

  test('what is not a decoder, or has no fp32, is not promised', async () => {
    const encoder = subjectOf(await bundled('wordnet-topic'), 'wordnet-topic/eval.jsonl');
    expect(await int4Mixed.plan(encoder)).toMatch(/only smaller/);
    const rounded = subjectOf(await bundled('wordnet-lm'), 'checkpoints/wordnet-lm-draft/eval.jsonl');
    expect(await int4Importance.plan(rounded)).toMatch(/no variant fp32 to begin from, only int8/);
    expect(await int8Smooth.plan(rounded)).toMatch(/needs? no smoothing/);
  });
});

test.each(['bert', 'bert-classify'])(
  '%s in 8 bits: smoothed is nearer to fp32 than plain, and no farther with parts in floats',
  async (name) => {
    const { model, remove: removeModel } = await imported(runtime, name);
    const subject = subjectOf(model, 'wordnet-topic/eval.jsonl');
    const harm = await beside(subject);
    const path = join(folder, `${name}.onnx`);
    buildOf(subject)(precisionOf('int8', 'encoder'), path);
    const harms = [await harmOf(path, harm)];
    for (const candidate of await planned(int8Smooth, subject)) {
      await int8Smooth.make(candidate, subject, path, contextOf(runtime));
      harms.push(await harmOf(path, harm));
    }
    removeModel();
    expect(harms[1]).toBeLessThan(harms[0]!);
    // A tenth of the products is little of so small a model.
    expect(harms[2]).toBeLessThan(1.05 * harms[1]!);
  },
);

test('work that is ended leaves nothing behind', async () => {
  const { model, remove: removeModel } = await imported(runtime, 'bert');
  const subject = subjectOf(model, 'wordnet-topic/eval.jsonl');
  const [candidate] = await planned(int8Smooth, subject);
  const own = mkdtempSync(join(folder, 'ended-'));
  const stopped = contextOf(runtime, AbortSignal.abort(new Error('ended by hand')));
  await expect(int8Smooth.make(candidate!, subject, join(own, 'model.onnx'), stopped)).rejects.toThrow('ended by hand');
  expect(readdirSync(own)).toEqual([]);
  removeModel();
});
