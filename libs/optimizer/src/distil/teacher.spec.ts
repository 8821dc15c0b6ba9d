/** The original's answers: computed once for a run, however often they are asked for and wherever the run was ended. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WireOutput } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Stale } from '../stale.js';
import { rowsOfOutputs } from '../teacher/answer-rows.js';
import { KeptPages } from '../teacher/kept-pages.js';
import type { Answered, Answering } from '../teacher/types.js';
import { contextOf } from '../testing/context.js';
import { heldOut } from '../testing/examples.js';
import { ModelCopy } from '../testing/model-copy.js';
import { openTeacher } from './teacher.js';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));

/** A page and a fifth of one. */
const TEXTS = heldOut<{ text: string }>('wordnet-topic')
  .slice(0, 1200)
  .map(({ text }) => text);

let runtime: Runtime;
let copy: ModelCopy;
let model: Model;
let folder: string;
beforeAll(async () => {
  runtime = await openRuntime();
  copy = new ModelCopy('wordnet-topic');
  model = await copy.model();
});
afterAll(() => copy.remove());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-teacher-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Asked {
  readonly outputs: readonly WireOutput[];
  readonly progress: readonly Answered[];
}

async function ask(texts: readonly string[], changes: Partial<Answering> = {}, keep = true): Promise<Asked> {
  const progress: Answered[] = [];
  const answers = {
    ...{ print: 'a', kept: new KeptPages(folder), elsewhere: undefined, ...changes },
    onAnswered: (told: Answered) => void progress.push(told),
  };
  const teacher = await openTeacher(model, { ...contextOf(runtime), answers });
  const outputs = new Array<WireOutput>(texts.length);
  const times = new Uint8Array(texts.length);
  const use = ({ place, output }: { readonly place: number; readonly output: WireOutput }) => {
    outputs[place] = output;
    times[place] = times[place]! + 1;
  };
  await teacher.ask(texts, use, { keep }).finally(() => teacher.close());
  expect(times.every((count) => count === 1)).toBe(true);
  return { outputs, progress };
}

const files = () => readdirSync(folder).sort();
/** What tells a file from one that was written anew. */
const written = () => new Map(files().map((name) => [name, statSync(join(folder, name)).ino]));
const valuesOf = (outputs: readonly WireOutput[]) => rowsOfOutputs(outputs).values;

/** Does what it is given while there is no graph, so that nothing can be computed. */
async function withoutGraph<T>(work: () => Promise<T>): Promise<T> {
  const graph = copy.pathOf('fp32');
  renameSync(graph, `${graph}.away`);
  try {
    return await work();
  } finally {
    renameSync(`${graph}.away`, graph);
  }
}

test('answers that are kept are those that were computed, to the bit, and nothing is computed for them', async () => {
  const first = await ask(TEXTS);
  expect(files()).toHaveLength(2);
  expect(first.progress.map(({ done, total }) => [done, total])).toEqual([
    [1000, 1200],
    [1200, 1200],
  ]);
  expect(first.progress[1]!.perSecond).toBeGreaterThan(0);
  const again = await withoutGraph(() => ask(TEXTS));
  expect(valuesOf(again.outputs)).toEqual(valuesOf(first.outputs));
  expect(again.progress.at(-1)).toEqual({ done: 1200, total: 1200, perSecond: 0 });
});

test('other texts, another order, other parameters and another model are other pages; whole pages are shared', async () => {
  await ask(TEXTS.slice(0, 8));
  await ask(TEXTS.slice(0, 9));
  await ask(TEXTS.slice(0, 8).reverse());
  await ask(TEXTS.slice(0, 8), { print: 'b' });
  expect(files()).toHaveLength(4);
  await ask(TEXTS);
  expect(files()).toHaveLength(6);
  await ask(TEXTS.slice(0, 1000));
  expect(files()).toHaveLength(6);
});

test('what is not to be kept is not on the disk', async () => {
  const { outputs } = await ask(TEXTS.slice(0, 3), {}, false);
  expect([outputs.length, files()]).toEqual([3, []]);
});

test('a page that is damaged is computed again', async () => {
  const { outputs } = await ask(TEXTS.slice(0, 20));
  truncateSync(join(folder, files()[0]!), 100);
  expect(valuesOf((await ask(TEXTS.slice(0, 20))).outputs)).toEqual(valuesOf(outputs));
  await withoutGraph(() => ask(TEXTS.slice(0, 20)));
});

test('ended by SIGKILL, it goes on with the page that it was at', async () => {
  const dist = (file: string) => JSON.stringify(new URL(`../../dist/${file}`, import.meta.url).href);
  const script = `
    import { openRuntime } from '@shoal/onnxruntime';
    import { openRepository } from '@shoal/models';
    import { openTeacher } from ${dist('distil/teacher.js')};
    import { KeptPages } from ${dist('teacher/kept-pages.js')};
    import { contextOf } from ${dist('testing/context.js')};
    import { heldOut } from ${dist('testing/examples.js')};
    const { models } = await openRepository(${JSON.stringify(copy.root)});
    const answers = {
      ...{ print: 'a', kept: new KeptPages(${JSON.stringify(folder)}), elsewhere: undefined },
      onAnswered: () => process.kill(process.pid, 'SIGKILL'),
    };
    const teacher = await openTeacher(models[0], { ...contextOf(await openRuntime()), answers });
    await teacher.ask(heldOut('wordnet-topic').slice(0, 1200).map(({ text }) => text), () => {});
  `;
  const args = ['--input-type=module', '-e', script];
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
  expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
  const before = written();
  expect(before.size).toBe(1);
  const { progress } = await ask(TEXTS);
  expect(progress).toHaveLength(2);
  const [[name, inode] = []] = before;
  expect(written().get(name!)).toBe(inode);
  expect(files()).toHaveLength(2);
});

describe('elsewhere', () => {
  /** One that answers what `outputs` makes of what the original answers; how often it was asked, and what was taken. */
  function elsewhere(
    answers: readonly WireOutput[],
    outputs: (attempt: number) => readonly WireOutput[] = () => answers,
  ) {
    const asked: string[] = [];
    const taken: string[] = [];
    const name = 'http://elsewhere';
    return {
      ...{ asked, taken, name },
      async answer({ key }: { readonly key: string }) {
        asked.push(key);
        return { rows: rowsOfOutputs(outputs(asked.length)), taken: () => void taken.push(key) };
      },
    };
  }
  const few = TEXTS.slice(0, 20);
  let own: readonly WireOutput[];
  beforeEach(async () => {
    own = (await ask(few, {}, false)).outputs;
  });

  test('the same model is believed, and may forget what is on the disk', async () => {
    const rounded = own.map((output) =>
      output.kind === 'scores' ? { ...output, scores: output.scores.map((score) => score * 1.001) } : output,
    );
    const other = elsewhere(rounded);
    expect(valuesOf((await ask(few, { elsewhere: other })).outputs)).toEqual(valuesOf(rounded));
    expect([other.asked.length, other.taken, files()]).toEqual([1, other.asked, [`${other.asked[0]}.answers`]]);
    await withoutGraph(() => ask(few, { elsewhere: other }));
    expect(other.asked).toHaveLength(1);
  });

  test('what another model answers is told apart, forgotten and asked for anew; then it ends the run', async () => {
    const foreign = [...own].reverse();
    const mended = elsewhere(own, (attempt) => (attempt === 1 ? foreign : own));
    expect(valuesOf((await ask(few, { elsewhere: mended })).outputs)).toEqual(valuesOf(own));
    expect([mended.asked.length, mended.taken]).toEqual([2, mended.asked]);
    const other = elsewhere(foreign);
    const ended = ask(few, { elsewhere: other, print: 'b' });
    await expect(ended).rejects.toThrow(Stale);
    await expect(ended).rejects.toThrow(
      /^http:\/\/elsewhere serves another wordnet-topic@1:fp32 than .*wordnet-topic\/1 has: .* answers \d+ % apart/,
    );
    expect(other.taken).toHaveLength(2);
    expect(files()).toHaveLength(1);
  });
});
