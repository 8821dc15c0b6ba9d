/** An engine in a thread of its own. */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import type { Savings } from '@shoal/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modelPath, prompts, requestOf } from '../testing/texts.js';
import type { Finish, GenerationRequest, NewToken } from '../types.js';
import { GenerationEngine } from './client.js';

const OPTIONS = { modelPath: modelPath('wordnet-lm-draft'), threads: 2, memoryLimit: 4 * 2 ** 30, rows: 4 };
/** Tokens of an answer that does not end by itself before the test ends it. */
const LONG = 200;
const [PROMPT, OTHER] = prompts() as [Uint32Array, Uint32Array];

interface Told {
  readonly saved: Savings[];
  readonly tokens: NewToken[];
  readonly prompt: NewToken[];
  readonly finish: Finish;
}

function generate(engine: GenerationEngine, request: GenerationRequest): Promise<Told> {
  const saved: Savings[] = [];
  const tokens: NewToken[] = [];
  const prompt: NewToken[] = [];
  return new Promise((resolve, reject) => {
    engine.start(request, {
      saved: (savings) => saved.push(savings),
      prompt: (some) => prompt.push(...some),
      tokens: (some) => tokens.push(...some),
      ended: (finish) => resolve({ saved, tokens, prompt, finish }),
      failed: reject,
    });
  });
}

/** An engine, and its thread. */
async function openWithThread(onDeath?: (error: Error) => void): Promise<{ engine: GenerationEngine; thread: Worker }> {
  const [engine, [thread]] = await Promise.all([
    GenerationEngine.open({ ...OPTIONS, ...(onDeath && { onDeath }) }),
    once(process, 'worker') as Promise<[Worker]>,
  ]);
  return { engine, thread };
}

describe('an engine', () => {
  let engine: GenerationEngine;
  beforeAll(async () => {
    engine = await GenerationEngine.open(OPTIONS);
  });
  afterAll(() => engine.close());

  test('tells tokens, the prompt where it is asked, and the end', async () => {
    const [a, b] = await Promise.all([
      generate(engine, requestOf(1, PROMPT, { maxTokens: 5 })),
      generate(engine, requestOf(2, OTHER, { maxTokens: 7, topLogprobs: 3, promptLogprobs: true })),
    ]);
    expect(a.tokens).toHaveLength(5);
    expect(a.prompt).toEqual([]);
    expect(a.finish).toEqual({ reason: 'length', stop: null });
    expect(a.saved).toEqual([{ cachedTokens: 0, accepted: 0, rejected: 0 }]);
    expect(b.tokens).toHaveLength(7);
    expect(b.prompt.map(({ id }) => id)).toEqual([...OTHER.subarray(1)]);
    expect(b.tokens[0]!.topIds).toHaveLength(3);
    expect(b.tokens[0]!.logprob).toBe(b.tokens[0]!.topValues[0]);
  });

  test('refuses what it cannot hold or does not know, and goes on', async () => {
    const start = (more: Partial<GenerationRequest>) => () =>
      engine.start(requestOf(9, PROMPT, more), {} as Parameters<GenerationEngine['start']>[1]);
    expect(start({ maxTokens: engine.context })).toThrow(expect.objectContaining({ code: 'input_too_long' }));
    const invalid = expect.objectContaining({ code: 'invalid_request' });
    for (const wrong of [
      { prompt: Uint32Array.of(2 ** 31) },
      { prompt: new Uint32Array(0) },
      { emitted: Uint32Array.of(2 ** 31) },
      { emitted: Uint32Array.of(5, 5), maxTokens: 1 },
      { maxTokens: -1 },
      { maxTokens: Number.NaN },
      { topLogprobs: 65 },
    ]) {
      expect(start(wrong)).toThrow(invalid);
    }
    expect((await generate(engine, requestOf(3, PROMPT, { maxTokens: 2 }))).tokens).toHaveLength(2);
  });

  test('tells nothing more of a text that is stopped', async () => {
    const heard: string[] = [];
    engine.start(requestOf(4, PROMPT, { maxTokens: 100 }), {
      saved: () => {},
      prompt: () => heard.push('prompt'),
      tokens: () => {
        heard.push('tokens');
        engine.stop(4);
      },
      ended: () => heard.push('ended'),
      failed: () => heard.push('failed'),
    });
    await generate(engine, requestOf(5, OTHER, { maxTokens: 30 }));
    expect(heard).toEqual(['tokens']);
    await expect.poll(() => engine.stats().running).toBe(0);
  });

  test('rests when there is nothing to do: no step, and no thread that waits for one', async () => {
    const { rests } = engine.stats();
    await generate(engine, requestOf(6, PROMPT, { maxTokens: 4 }));
    await expect.poll(() => engine.stats().rests).toBe(rests + 1);
    const { steps } = engine.stats();
    if (process.platform === 'linux') await expect.poll(otherThreads).toEqual(new Set(['S']));
    expect(engine.stats()).toMatchObject({ steps, rests: rests + 1 });
  });
});

/** Whether the threads of this process beside the one that asks run (R) or sleep (S). */
function otherThreads(): Set<string> {
  const others = readdirSync('/proc/self/task').filter((id) => Number(id) !== process.pid);
  return new Set(others.map((id) => /\) (\w)/.exec(readFileSync(`/proc/self/task/${id}/stat`, 'utf8'))![1]!));
}

test('a thread that ends fails what runs, so that it may be tried again, and all that comes after, and is told of', async () => {
  const deaths: Error[] = [];
  const { engine, thread } = await openWithThread((error) => deaths.push(error));
  const failed = new Promise((resolve) => {
    engine.start(requestOf(1, PROMPT, { maxTokens: LONG }), {
      saved: () => {},
      prompt: () => {},
      tokens: () => void thread.terminate(),
      ended: resolve,
      failed: resolve,
    });
  });
  expect(await failed).toMatchObject({ code: 'device_failed' });
  expect(() => engine.start(requestOf(2, PROMPT), {} as never)).toThrow(
    expect.objectContaining({ code: 'device_failed' }),
  );
  await engine.close();
  expect(deaths).toMatchObject([{ code: 'device_failed' }]);
});

test('an engine that is closed fails what runs and ends its thread', async () => {
  const deaths: Error[] = [];
  const { engine, thread } = await openWithThread((error) => deaths.push(error));
  const running = generate(engine, requestOf(1, PROMPT, { maxTokens: LONG }));
  const failed = expect(running).rejects.toMatchObject({ code: 'device_failed' });
  const exit = once(thread, 'exit');
  await engine.close();
  await failed;
  expect(await exit).toEqual([0]);
  await engine.close();
  expect(deaths).toEqual([]);
});

test('what cannot be loaded, or has no room, is refused in its own words', async () => {
  const open = (more: object) => GenerationEngine.open({ ...OPTIONS, ...more });
  await expect(open({ memoryLimit: 2 ** 20 })).rejects.toMatchObject({ code: 'device_failed' });
  await expect(open({ modelPath: modelPath('none') })).rejects.toMatchObject({ code: 'model_invalid' });
});
