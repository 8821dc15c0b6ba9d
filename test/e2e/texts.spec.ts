/**
 * Texts through the API are those of PyTorch, and each is the same alone and in a crowd whose rows come and go: with long
 * prompts in chunks, prefixes that are cached, texts that make way for better priorities, and proposals that are verified.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importFolder } from '@shoal/importer';
import { openRuntime } from '@shoal/onnxruntime';
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { inParallel, readMetric } from '../support/fleet.js';
import { ROOT, startApi, startWorker } from '../support/processes.js';
import {
  type Answer,
  openClient,
  partingOf,
  readReference,
  type TextRequest,
  WITH_ALTERNATIVES,
  whole,
} from '../support/texts.js';

/** As the reference has them. */
const TOKENS = 40;
/** A long prompt begins as the others do, with so many turns: three chunks of 64 tokens in the mean. */
const TURNS = 5;
/** Rows of a worker with memory enough. */
const ROWS = 64;
/** Of low priority: they fill the worker, and are there long enough to be in the way. */
const LOW = { texts: 80, kinds: 8, tokens: 150 };
const HANG_UPS = 16;
/** Between the log probabilities of the two likeliest tokens: where rounding decides. */
const NEAR_TIE = 0.05;

const MODELS = [
  // Weights of 8 bits: the logits of the likeliest tokens differ from PyTorch's by up to 0.15 (the importer's tests).
  { name: 'wordnet-lm', reference: 'wordnet-lm', different: 2, tie: 0.3 },
  // As it was trained.
  { name: 'wordnet-lm-draft', reference: 'checkpoints/wordnet-lm-draft', different: 0, tie: 0 },
] as const;

let folder: string;
let api: Awaited<ReturnType<typeof startApi>>;
let worker: Awaited<ReturnType<typeof startWorker>>;
let client: OpenAI;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-texts-'));
  const models = join(folder, 'models');
  cpSync(join(ROOT, 'models/wordnet-lm'), join(models, 'wordnet-lm'), { recursive: true });
  const draft = { folder: join(ROOT, 'test/fixtures/checkpoints/wordnet-lm-draft'), version: 1, dtypes: ['fp32'] };
  await importFolder(
    { ...draft, to: models, force: false },
    { runtime: await openRuntime(), say: () => undefined, signal: new AbortController().signal },
  );
  const options = {
    redisUrl: inject('redisUrl'),
    env: { SHOAL_MODELS_DIR: models, SHOAL_CACHE_DIR: join(folder, 'cache'), SHOAL_GENERATION_THREADS: '1' },
  };
  [api, worker] = await Promise.all([startApi(options), startWorker(options)]);
  client = openClient(api.url);
});

afterAll(async () => {
  await Promise.all([api?.stop(), worker?.stop()]);
  rmSync(folder, { recursive: true });
});

/** The sum over both models. */
const told = (metric: string) => readMetric(worker.metricsUrl, `shoal_${metric}`);

function requestOf(
  model: string,
  messages: OpenAI.ChatCompletionMessageParam[],
  seed: number | null,
  tokens: number,
): TextRequest {
  const sampling = seed === null ? { temperature: 0 } : { temperature: 0.9, top_p: 0.95, seed };
  return { model, messages, max_completion_tokens: tokens, ...sampling, ...WITH_ALTERNATIVES };
}

const isGreedy = ({ temperature }: TextRequest) => temperature === 0;

/** Short prompts and long ones that begin alike, greedy and sampled: 64. */
function requestsOf({ name, reference }: (typeof MODELS)[number]): TextRequest[] {
  const texts = readReference(reference);
  // With the answers of others, so that none is a conversation that a text of before goes on with.
  const head = texts.slice(0, TURNS).flatMap(({ prompt }, n): OpenAI.ChatCompletionMessageParam[] => [
    { role: 'user', content: prompt },
    { role: 'assistant', content: texts.at(-1 - n)!.greedy_text },
  ]);
  return [null, 1].flatMap((seed) =>
    [[], head].flatMap((before) =>
      texts.map(({ prompt }, n) =>
        requestOf(name, [...before, { role: 'user', content: prompt }], seed && seed + n, TOKENS),
      ),
    ),
  );
}

/** Long ones of low priority, of few kinds. */
function lowRequestsOf({ name, reference }: (typeof MODELS)[number]): TextRequest[] {
  const own = { ignore_eos: true, priority: 1 };
  return readReference(reference)
    .slice(0, LOW.kinds)
    .map(({ prompt: content }, n) => ({
      ...requestOf(name, [{ role: 'user', content }], n % 2 === 0 ? null : n, LOW.tokens),
      ...own,
    }));
}

/** Reads the beginning of an answer and hangs up. */
async function hangUp(request: TextRequest): Promise<void> {
  const stream = await client.chat.completions.create({ ...request, stream: true });
  for await (const { choices } of stream) if (choices[0]?.delta.content) break;
}

/** Answers that are not those of before: greedy ones at near-ties only, of which the gaps are given; others not at all. */
function gapsWhereTheyPart(
  requests: readonly TextRequest[],
  before: readonly Answer[],
  after: readonly Answer[],
): number[] {
  const partings = requests.flatMap((request, n) => {
    const parting = partingOf(before[n]!, after[n]!);
    return parting === null ? [] : [{ n, greedy: isGreedy(request), parting }];
  });
  expect(partings.filter(({ greedy, parting }) => !greedy || !(parting <= NEAR_TIE))).toEqual([]);
  return partings.map(({ parting }) => parting);
}

describe.each(MODELS)('$name', (model) => {
  const { name, reference, different, tie } = model;
  const requests = requestsOf(model);
  const low = lowRequestsOf(model);
  let alone: Answer[];
  let lowAlone: Answer[];

  beforeAll(async () => {
    alone = await inParallel(1, requests, (request) => whole(client, request));
    lowAlone = await inParallel(1, low, (request) => whole(client, request));
  });

  test('answers as PyTorch does', () => {
    const texts = readReference(reference);
    const others = texts.flatMap(({ greedy_text }, n) => {
      const { text, tokens } = alone[n]!;
      if (text === greedy_text) return [];
      // The likeliest gap up to where the texts part is that of the token that differs, or a smaller one.
      let said = '';
      const gaps = tokens.flatMap(({ token, top_logprobs: [first, second] }) => {
        const same = greedy_text.startsWith(said);
        said += token;
        return same ? [first!.logprob - second!.logprob] : [];
      });
      return [Math.min(...gaps)];
    });
    console.log(`${name}: ${texts.length - others.length} of ${texts.length} texts are PyTorch's`);
    expect(others.length).toBeLessThanOrEqual(different);
    for (const gap of others) expect(gap).toBeLessThanOrEqual(tie);
  });

  test('texts of a crowd are those that they are alone: sampled ones to the last token, greedy ones but for near-ties', async () => {
    const [preempted, cached] = [await told('num_preemptions_total'), await told('prefix_cache_hits_total')];
    const inTheWay = Array.from({ length: LOW.texts }, (_, n) => low[n % LOW.kinds]!);
    const others = inParallel(LOW.texts, inTheWay, (request) => whole(client, request));
    await expect.poll(() => told('num_requests_running'), { interval: 5 }).toBe(ROWS);
    const left = inParallel(HANG_UPS, requests.slice(0, HANG_UPS), hangUp);
    const together = await inParallel(requests.length, requests, (request) => whole(client, request));
    await left;
    const gaps = [
      ...gapsWhereTheyPart(requests, alone, together),
      ...gapsWhereTheyPart(
        inTheWay,
        inTheWay.map((_, n) => lowAlone[n % LOW.kinds]!),
        await others,
      ),
    ];
    const shown = gaps.map((gap) => gap.toFixed(3)).join(', ');
    console.log(`${name}: ${gaps.length} of ${requests.length + LOW.texts} texts part at near-ties (${shown})`);
    expect(await told('num_preemptions_total')).toBeGreaterThan(preempted);
    expect(await told('prefix_cache_hits_total')).toBeGreaterThan(cached);
    await expect.poll(() => told('num_requests_running')).toBe(0);
    await expect.poll(() => told('items_in_flight')).toBe(0);
  });

  test('greedy texts are as they were where proposals are right, but for near-ties', async () => {
    const accepted = await told('spec_decode_num_accepted_tokens_total');
    const greedy = low.flatMap((request, n) => (isGreedy(request) ? [{ request, before: lowAlone[n]! }] : []));
    const again = await inParallel(2, greedy, ({ request, before: { text: content } }) =>
      whole(client, { ...request, prediction: { type: 'content', content } }),
    );
    const gaps = gapsWhereTheyPart(
      greedy.map(({ request }) => request),
      greedy.map(({ before }) => before),
      again,
    );
    console.log(`${name}: ${gaps.length} of ${greedy.length} texts with a prediction part at near-ties`);
    expect(await told('spec_decode_num_accepted_tokens_total')).toBeGreaterThan(accepted + LOW.tokens);
  });
});
