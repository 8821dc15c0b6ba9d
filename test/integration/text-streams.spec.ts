/** Chat and completions over a real Redis: the API's replicas on one side, a worker that writes answers piece by piece on the other. */
import { randomBytes } from 'node:crypto';
import type { GenerationSettings, PromptItem } from '@shoal/contracts';
import { Catalog } from '@shoal/intake';
import { AllowList } from '@shoal/network';
import type { JobStore } from '@shoal/queue';
import { createApiMetrics, createLogger } from '@shoal/telemetry';
import OpenAI from 'openai';
import { Registry } from 'prom-client';
import { expect, inject, onTestFinished, test } from 'vitest';
import { createServer } from '../../apps/api/dist/server.js';
import { fakeAnswer, fakeGenerator } from '../../apps/api/dist/testing/fake-generator.js';
import { FakeWebhookStore } from '../../apps/api/dist/testing/fake-webhook-store.js';
import { servedAlone } from '../../apps/api/dist/testing/start.js';
import type { Claim } from '../support/claims.js';
import { openBench } from '../support/queue-harness.js';
import { resultOf } from '../support/scripted-model.js';

const WHOLE = ' Fish swim in shoals.€';

async function startReplica(store: JobStore, model: string): Promise<OpenAI> {
  const app = await createServer({
    store,
    webhooks: {
      ...{ store: new FakeWebhookStore(), box: null, allow: new AllowList([]), clock: Date.now },
      resolve: async () => [],
    },
    files: { limits: { bytes: 2 ** 20, lines: 100 }, kept: null },
    catalog: new Catalog({ versions: [servedAlone(fakeGenerator(model))] }),
    ...{ keys: [], corsOrigins: [], maxBodyBytes: 2 ** 20, retentionMs: 60_000, clock: Date.now, tracer: undefined },
    ...{ callTimeoutMs: 60_000, generationTimeoutMs: 60_000 },
    metrics: createApiMetrics(new Registry()),
    logger: createLogger({ name: 'api', level: 'error', destination: { write: () => undefined } }),
  });
  onTestFinished(() => app.close());
  await app.listen(0, '127.0.0.1');
  return new OpenAI({ baseURL: `${await app.getUrl()}/v1`, apiKey: 'none', maxRetries: 0 });
}

async function open() {
  const model = `t${randomBytes(6).toString('hex')}`;
  const bench = await openBench({ redisUrl: inject('redisUrl'), queues: [`${model}.1.default.0`] });
  const { claims, publisher } = bench.startHolder();
  const client = await startReplica(bench.store, model);
  const answerOf = ({ item }: Claim) =>
    fakeAnswer(item.item as PromptItem, item.parameters as Readonly<Record<string, unknown>> & GenerationSettings);
  const begin = async ({ item }: Claim) => expect(await publisher.begin([item])).toEqual([1]);
  const write = async (claim: Claim, from: number, to: number) => {
    for (const piece of answerOf(claim).pieces.slice(from, to)) await publisher.write([{ item: claim.item, piece }]);
  };
  const end = async (claim: Claim) => {
    const { receipt } = resultOf(0);
    const { whole } = answerOf(claim);
    await publisher.publish([{ item: claim.item, result: { receipt, output: whole }, used: whole.ids.length }]);
    claim.settle({ kind: 'done' });
  };
  const ask = { model, messages: [{ role: 'user' as const, content: 'Where do fish swim?' }] };
  return { bench, model, claims, client, ask, begin, write, end };
}

test('a chat stream tells what a worker writes as it writes it, and the rest when the answer is whole', async () => {
  const { claims, client, ask, begin, write, end, bench } = await open();
  const stream = await client.chat.completions.create({
    ...ask,
    stream: true,
    n: 2,
    logprobs: true,
    stream_options: { include_usage: true },
  });
  const answers = await claims.next(2);
  const texts = ['', ''];
  const finished: number[] = [];
  let usage: OpenAI.CompletionUsage | null | undefined;
  for (const each of answers) await begin(each);
  await write(answers[0]!, 0, 2);
  for await (const { choices, usage: told } of stream) {
    usage = told;
    for (const { index, delta, finish_reason } of choices) {
      texts[index] += delta.content ?? '';
      if (finish_reason) finished.push(index);
      // What comes next is written only when this was told.
      if (delta.content === ' swim' && index === 0) {
        await write(answers[1]!, 0, 1);
        await end(answers[1]!);
        await write(answers[0]!, 2, 5);
      }
      if (delta.content === 'als' && index === 0) await end(answers[0]!);
    }
  }
  expect(texts).toEqual([WHOLE, ' Whales swim in shoals.€']);
  expect(finished).toEqual([1, 0]);
  expect(usage).toMatchObject({ prompt_tokens: 5, completion_tokens: 18 });
  await expect.poll(async () => (await bench.store.list('default', { limit: 9 })).records).toEqual([]);
});

test('a reader that hangs up frees the row; one that asked for its answer to be kept goes on at another replica', async () => {
  const { bench, model, claims, client, ask, begin, write, end } = await open();
  const other = await startReplica(await bench.openStore(), model);
  const hungUp = await client.chat.completions.create({ ...ask, stream: true });
  const [dropped] = await claims.next(1);
  await begin(dropped!);
  await write(dropped!, 0, 1);
  for await (const { choices } of hungUp) if (choices[0]?.delta.content) break;
  await expect.poll(() => dropped!.item.dropped.aborted).toBe(true);
  dropped!.settle({ kind: 'done' });

  const kept = await client.chat.completions.create({ ...ask, stream: true, store: true });
  const [claim] = await claims.next(1);
  await begin(claim!);
  await write(claim!, 0, 3);
  let id = '';
  let text = '';
  for await (const chunk of kept) {
    id = chunk.id;
    text += chunk.choices[0]?.delta.content ?? '';
    if (text === ' Fish swim in') break;
  }
  await write(claim!, 3, 5);
  const headers = { accept: 'text/event-stream', 'last-event-id': '3.0' };
  const rest = await other.get(`/chat/completions/${id}`, { headers, stream: true });
  await end(claim!);
  for await (const { choices } of rest as AsyncIterable<OpenAI.ChatCompletionChunk>) {
    text += choices[0]?.delta.content ?? '';
  }
  expect(text).toBe(WHOLE);
  expect((await other.chat.completions.retrieve(id)).choices[0]?.message.content).toBe(WHOLE);
  expect(await client.chat.completions.delete(id)).toMatchObject({ deleted: true });
  await expect(other.chat.completions.retrieve(id)).rejects.toThrow(OpenAI.NotFoundError);
});
