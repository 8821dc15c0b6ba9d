/** A conversation in a terminal with a small model that comes with Shoal. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { GenerationEngine } from '@shoal/generation';
import { expect, onTestFinished, test, vi } from 'vitest';
import { runModel } from './run-model.js';
import type { RunSettings } from './run-model-settings.js';

const MODELS = fileURLToPath(new URL('../../../models', import.meta.url));

/** One without a chat template. */
function bareModel(): string {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-run-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  cpSync(join(MODELS, 'wordnet-lm', '1'), folder, { recursive: true });
  rmSync(join(folder, 'chat_template.jinja'));
  return folder;
}

/** Somebody at a terminal: what they type, see, and are told. */
function sitDown(settings: RunSettings = {}, context?: number, model = 'wordnet-lm') {
  const input = new PassThrough();
  const seen = { answers: '', said: [] as string[], interrupts: 0 };
  const written: (() => void)[] = [];
  const screen = Object.assign(new Writable({ write: (_chunk, _encoding, done) => done() }), { isTTY: true });
  const request = { model, prompt: undefined, variant: undefined, context, settings };
  const ended = runModel(request, MODELS, {
    ...{ input, screen },
    write: (text) => {
      seen.answers += text;
      for (const wake of written.splice(0)) wake();
    },
    say: (line) => seen.said.push(line),
    interrupt: () => seen.interrupts++,
  });
  onTestFinished(async () => {
    input.end();
    await ended;
  });
  /** What is said last once there are `count` lines. */
  const told = async (count: number) => {
    await expect.poll(() => Math.min(seen.said.length, count), { timeout: 20_000 }).toBe(count);
    return seen.said[count - 1]!;
  };
  return {
    ...{ seen, told },
    press: (keys: string) => input.write(keys),
    /** Types a line; the next line that is said. */
    type: async (line: string) => {
      await told(1);
      const before = seen.said.length;
      input.write(`${line}\n`);
      return told(before + 1);
    },
    written: () => new Promise<void>((resolve) => written.push(resolve)),
    end: async () => {
      input.end();
      await ended;
    },
  };
}

const readOf = (line: string) => Number(/^(\d+) tokens read/.exec(line)?.[1]);
const cachedOf = (line: string) => Number(/\((\d+) cached\)/.exec(line)?.[1]);

test('a question is read behind the turns before it, which are in the cache, until the conversation is cleared', async () => {
  const { type, seen, end } = sitDown({ max_tokens: 12 });
  // Whole chunks of 64 tokens of what was read are used again.
  const question = `Define ${'oak or '.repeat(30)}oak (noun).`;
  const first = await type(question);
  const second = await type('Define elm (noun).');
  expect(readOf(second)).toBeGreaterThan(readOf(first) + 12);
  expect(cachedOf(second)).toBe(64);
  expect(await type('/clear')).toBe('The conversation begins anew.');
  expect(readOf(await type(question))).toBe(readOf(first));
  await end();
  const [oak, elm, again] = seen.answers.split('\n');
  expect(again).toBe(oak);
  expect(elm).not.toBe(oak);
});

test('where no room is left for an answer the oldest turns are forgotten, and that is said', async () => {
  const questions = ['Define oak (noun).', 'Define elm (noun).'] as const;
  const wide = sitDown({ max_tokens: 12 });
  const first = readOf(await wide.type(questions[0]));
  const both = readOf(await wide.type(questions[1]));
  const { type, seen } = sitDown({ max_tokens: 12 }, both + 11);
  await type(questions[0]);
  expect(await type(questions[1])).toMatch(
    /^The context of \d+ tokens is full: the oldest turn is forgotten\. \/clear/,
  );
  await expect.poll(() => readOf(seen.said.at(-1)!)).toBeLessThan(both);
  expect(readOf(seen.said.at(-1)!)).toBeLessThan(2 * first);
  // What is refused is no turn, and takes none away.
  expect(await type('word '.repeat(200))).toMatch(
    /^the prompt has \d+ tokens, prompt and answer may have \d+ together/,
  );
  await type('/set max-tokens 1');
  expect(readOf(await type(questions[0]))).toBeGreaterThan(2 * first);
});

test('a conversation that has filled the context is cut to half of it, not again for each question', async () => {
  const questions = ['Define oak (noun).', 'Define elm (noun).', 'Define fig (noun).'];
  const wide = sitDown({ max_tokens: 12 });
  let all = 0;
  for (const question of questions) all = readOf(await wide.type(question));
  const { type, seen } = sitDown({ max_tokens: 12 }, all);
  for (const question of questions) await type(question);
  expect(seen.said).toContainEqual(expect.stringMatching(/is full: the 2 oldest turns are forgotten/));
  expect(seen.said.filter((line) => line.includes('is full'))).toHaveLength(1);
});

test('Ctrl-C stops the answer, whose beginning stays a turn, and at the prompt it ends the program', async () => {
  const stop = vi.spyOn(GenerationEngine.prototype, 'stop');
  onTestFinished(() => stop.mockRestore());
  // Of its own this answer goes on until the context is full.
  const { type, press, seen, written, told } = sitDown({ temperature: 2, seed: 2 });
  await told(1);
  const shown = written();
  press('Define oak (noun).\n');
  await shown;
  press('\x03');
  const line = await told(2);
  expect([seen.interrupts, line]).toEqual([0, expect.stringMatching(/^15 tokens read .*; interrupted$/)]);
  expect(seen.answers.endsWith('\n')).toBe(true);
  expect(stop).toHaveBeenCalledOnce();
  await expect.poll(() => (stop.mock.contexts[0] as GenerationEngine).stats().running).toBe(0);
  expect(readOf(await type('Define elm (noun).'))).toBeGreaterThan(2 * 15);
  press('\x03');
  await expect.poll(() => seen.interrupts).toBe(1);
});

test('a model without a chat template goes on with each line as it is, and remembers none', async () => {
  const { type, seen, told } = sitDown({ max_tokens: 4 }, undefined, bareModel());
  expect(await told(2)).toMatch(/^It has no chat template/);
  const [first, second] = [await type('An oak is a'), await type('An oak is a')];
  expect(readOf(second)).toBe(readOf(first));
  expect(await type('/set system Be brief.')).toMatch(/^system is for models with a chat template/);
  expect(seen.answers.split('\n')).toHaveLength(3);
});

test('commands say what there is, and change how answers are made', async () => {
  const { type, seen } = sitDown({ max_tokens: 12 });
  expect(await type('/help')).toMatch(/\/clear .*\/set NAME VALUE.* top-p /s);
  expect(await type('/set')).toMatch(/^temperature +0\n.*max-tokens +12\n/s);
  expect(await type('/set top-p 0.5')).toMatch(/^top-p +0.5$/);
  expect(await type('/set')).toMatch(/^temperature +1\n/);
  expect(await type('/set top-p')).toMatch(/^top-p +1$/);
  expect(await type('/set stop "\\n"')).toMatch(/^stop +\["\\n"\]$/);
  expect(await type('/set max-tokens 2')).toMatch(/^max-tokens +2$/);
  expect(await type('Define oak (noun).')).toContain('cut off at max-tokens, 2');
  expect(await type('/set system Be brief.')).toMatch(/^system +"Be brief\."$/);
  expect(await type('/set temperature 3')).toBe('temperature must be at most 2');
  expect(await type('/set warmth 3')).toMatch(/^there is no warmth to set; there are temperature, /);
  expect(await type('/set constructor 3')).toMatch(/^there is no constructor to set/);
  expect(await type('/retry')).toBe('there is no command /retry; /help lists them.');
  expect(seen.answers.split('\n')).toHaveLength(2);
});
