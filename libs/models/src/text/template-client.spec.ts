import { setImmediate as turn } from 'node:timers/promises';
import { ShoalError } from '@shoal/contracts';
import { expect, it } from 'vitest';
import { TemplateClient, type TemplateLimits } from './template-client.js';

const LOOP = '{% for i in range(1000) %}'.repeat(6) + '{% endfor %}'.repeat(6);
/** Does what the first message says. */
const OBEDIENT = `{% if messages[0].content == 'loop' %}${LOOP}{% endif %}{{ bos_token }}{{ messages[0].content }}`;

function clientOf(source: string, limits: Partial<TemplateLimits> = {}) {
  const client = new TemplateClient({ source, specialTokens: { bos_token: '<s>' } }, limits);
  return (content: string) => client.render({ messages: [{ role: 'user', content }] }, 100);
}

async function errorOf(rendered: Promise<unknown>): Promise<ShoalError> {
  const error = await rendered.catch((thrown: unknown) => thrown);
  if (error instanceof ShoalError) return error;
  throw new Error('It did not fail.');
}

it('renders in order, and gives on what the template refuses', async () => {
  const render = clientOf(`{% if messages[0].content == "no" %}{{ raise_exception("never") }}{% endif %}${OBEDIENT}`);
  const all = await Promise.all([render('a'), render('no'), render('b'), render('x'.repeat(100))]);
  expect(all[0]).toEqual({ text: '<s>a' });
  expect(all[1]).toEqual({ refused: expect.stringContaining('never') });
  expect(all[2]).toEqual({ text: '<s>b' });
  expect(all[3]).toEqual({ refused: expect.stringContaining('too long') });
});

it('ends a template that does not end while this thread goes on, and the next conversations are rendered', async () => {
  const render = clientOf(OBEDIENT, { deadlineMs: 1000 });
  let turns = 0;
  let over = false;
  const looping = errorOf(render('loop')).finally(() => {
    over = true;
  });
  const behind = render('behind it');
  while (!over) {
    await turn();
    turns++;
  }
  expect(await looping).toMatchObject({ code: 'inference_failed', retryable: false });
  expect((await looping).message).toContain('did not end');
  expect(turns).toBeGreaterThan(10);
  expect(await behind).toEqual({ text: '<s>behind it' });
  expect(await render('later')).toEqual({ text: '<s>later' });
});

it('ends a template that takes too much memory', async () => {
  const hungry = `{% set n = namespace(all=[]) %}{% for i in range(10000) %}{% set n.all = n.all + [range(1000000)] %}{% endfor %}`;
  const render = clientOf(hungry, { memoryMb: 32, deadlineMs: 60_000 });
  expect((await errorOf(render('a'))).message).toContain('too much memory');
});

it('no longer tries what did not end several times in a row, for a while; shorter conversations are not to blame', async () => {
  const render = clientOf(OBEDIENT, { deadlineMs: 1000, mostFailures: 2, refusedMs: 600_000 });
  const failed = await Promise.all([render('loop'), render('loop'), render('loop'), render('loop')].map(errorOf));
  const messages = failed.map(({ message }) => message);
  expect(messages.filter((message) => message.endsWith('did not end'))).toHaveLength(2);
  expect(messages.slice(2)).toEqual(messages.slice(2).map(() => expect.stringContaining('several times')));
  expect((await errorOf(render('longer'))).message).toContain('several times');
  expect(await render('hi')).toEqual({ text: '<s>hi' });
});

it('tries it again after the while', async () => {
  const render = clientOf(OBEDIENT, { deadlineMs: 1000, mostFailures: 1, refusedMs: 0 });
  await errorOf(render('loop'));
  await expect.poll(() => render('longer').catch(() => null)).toEqual({ text: '<s>longer' });
});

it('has another thread where the first one was not needed for a while', async () => {
  const render = clientOf(OBEDIENT, { idleMs: 0 });
  expect(await render('a')).toEqual({ text: '<s>a' });
  await turn();
  expect(await render('b')).toEqual({ text: '<s>b' });
});
