/** `max_accuracy_loss` on every path that takes a model: what it may say, what is chosen by it, and that the answer tells. */
import { fakeFace, type Measured, measuredVersion } from '@shoal/intake/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { AccuracyLossSchema, JobSchema } from '../openapi/answers.js';
import { EmbeddingsSchema, ModelCardSchema } from '../openapi/openai-answers.js';
import { fakeGenerator } from '../testing/fake-generator.js';
import { startTestApi, type TestApi } from '../testing/start.js';

let api: TestApi;
afterEach(() => api.close());

const OTHERS: Readonly<Record<string, Measured>> = {
  int8: { bound: 0.005, speed: 1.5 },
  layers2: { bound: 0.02, speed: 2.5 },
};
const FACES = [
  fakeFace('embed', 'feature-extraction'),
  fakeFace('topic', 'text-classification'),
  fakeFace('rank', 'rerank'),
  fakeGenerator('chat'),
];

async function start(options: Parameters<typeof startTestApi>[0] = {}, others = OTHERS): Promise<void> {
  api = await startTestApi({ versions: FACES.map((face) => measuredVersion(face, others)), ...options });
}

const CALLS: [path: string, body: { readonly model: string; readonly [field: string]: unknown }][] = [
  ['/v1/jobs?wait=5', { model: 'topic', input: 'small fish' }],
  ['/v1/embeddings', { model: 'embed', input: 'small fish' }],
  ['/v1/rerank', { model: 'rank', query: 'water', documents: ['a', 'sea'] }],
  ['/v2/rerank', { model: 'rank', query: 'water', documents: ['a', 'sea'] }],
  ['/rerank', { model: 'rank', query: 'water', texts: ['a', 'sea'] }],
  ['/v1/chat/completions', { model: 'chat', messages: [{ role: 'user', content: 'Where?' }] }],
  ['/v1/chat/completions', { model: 'chat', messages: [{ role: 'user', content: 'Where?' }], stream: true }],
  ['/v1/completions', { model: 'chat', prompt: 'Where?' }],
];

/** What the answer says has answered, and what that loses. */
async function toldBy(response: Response): Promise<readonly [model: string | null, loss: unknown]> {
  const loss = response.headers.get('x-shoal-accuracy-loss');
  const model = response.headers.get('x-shoal-model');
  if (model !== null) {
    await response.text();
    return [model, loss === null ? null : AccuracyLossSchema.parse(JSON.parse(loss))];
  }
  const job = JobSchema.parse(await response.json());
  return [`${job.model}@${job.version}:${job.variant}`, job.accuracy_loss];
}

describe.each(CALLS)('%s %j', (path, body) => {
  test('gets the fastest variant that loses no more than is allowed, and is told which', async () => {
    await start();
    const lossOf = (bound: number) => ({ metric: 'accuracy', mean: bound / 2, bound });
    for (const [allowed, variant, loss] of [
      [undefined, 'fp32', null],
      [null, 'fp32', null],
      [0, 'fp32', null],
      [0.0049, 'fp32', null],
      [0.005, 'int8', lossOf(0.005)],
      [1, 'layers2', lossOf(0.02)],
    ] as const) {
      const response = await api.request('POST', path, { ...body, max_accuracy_loss: allowed });
      expect(response.status, `${allowed}`).toBe(200);
      expect(await toldBy(response), `${allowed}`).toEqual([`${body.model}@1:${variant}`, loss]);
      const submitted = api.store.submitted.at(-1)!;
      expect([submitted.queue, submitted.meta.variant]).toEqual([`${body.model}.1.${variant}.0`, variant]);
      expect(submitted.meta.graph === undefined).toBe(loss === null);
    }
  });

  test.each([
    [-0.01, 'must be at least 0'],
    [1.5, 'must be at most 1'],
    [1e300, 'must be at most 1'],
    ['1%', 'must be a number'],
    ['0.01', 'must be a number'],
    [[0.01], 'must be a number'],
    [true, 'must be a number'],
  ])('refuses %j, and names the field', async (max_accuracy_loss, fault) => {
    await start();
    const response = await api.request('POST', path, { ...body, max_accuracy_loss });
    expect([400, 422]).toContain(response.status);
    expect(await response.text()).toContain(`max_accuracy_loss: ${fault}`);
    expect(api.store.submitted).toEqual([]);
  });

  test.each([
    ['1e999', 'max_accuracy_loss: must be a number'],
    ['NaN', 'The JSON'],
  ])('refuses %s, which no JSON has', async (value, fault) => {
    await start();
    const text = JSON.stringify({ ...body, max_accuracy_loss: 'here' }).replace('"here"', value);
    const response = await fetch(`${api.url}${path}`, {
      ...{ method: 'POST', body: text, headers: { 'content-type': 'application/json' } },
    });
    expect([400, 422]).toContain(response.status);
    expect(await response.text()).toContain(fault);
    expect(api.store.submitted).toEqual([]);
  });

  test('refuses it beside a variant, and says what to do', async () => {
    await start();
    const response = await api.request('POST', path, { ...body, model: `${body.model}:int8`, max_accuracy_loss: 0.01 });
    expect([400, 422]).toContain(response.status);
    const message = `max_accuracy_loss: ${body.model}:int8 names the variant: leave this out, or ask for ${body.model}`;
    expect(await response.text()).toContain(message);
    expect(api.store.submitted).toEqual([]);
  });
});

test.each(['topic:int8', 'topic'])(
  'a job that gets a measured variant by the name %s is kept to no graph, and told no loss',
  async (model) => {
    const { face, variants } = measuredVersion(FACES[1]!, OTHERS);
    const [original, int8] = variants;
    await start({ versions: [{ face: { ...face, model: int8! }, variants: [int8!, original!] }] });
    const job = JobSchema.parse(await (await api.request('POST', '/v1/jobs?wait=5', { model, input: 'fish' })).json());
    expect([job.status, job.accuracy_loss]).toEqual(['completed', null]);
    expect(api.store.submitted[0]!.meta.variant).toBe('int8');
    expect(api.store.submitted[0]!.meta).not.toHaveProperty('graph');
  },
);

test('each job of a bulk call allows what it says', async () => {
  await start();
  const job = { model: 'topic', input: 'small fish' };
  const jobs = [job, { ...job, max_accuracy_loss: 0.005 }, { ...job, model: 'topic:int8', max_accuracy_loss: 0.005 }];
  const { data } = (await (await api.request('POST', '/v1/jobs/bulk', { jobs })).json()) as {
    data: { status: number }[];
  };
  expect(data.map(({ status }) => status)).toEqual([202, 202, 422]);
  expect(api.store.submitted.map(({ meta }) => meta.variant)).toEqual(['fp32', 'int8']);
});

test('a kept answer tells it as well when it is read later', async () => {
  await start();
  const ask = { model: 'chat', messages: [{ role: 'user', content: 'Where?' }], store: true, max_accuracy_loss: 0.01 };
  const { headers } = await api.request('POST', '/v1/chat/completions', ask);
  for (const accept of ['application/json', 'text/event-stream']) {
    const read = await api.request('GET', headers.get('location')!, undefined, { accept });
    expect(await toldBy(read)).toEqual(['chat@1:int8', expect.objectContaining({ bound: 0.005 })]);
  }
});

test('all embeddings of one call are of one variant, chosen for calls of that size', async () => {
  const shape = { tokens: 16 };
  await start(
    {},
    {
      int8: {
        bound: 0.005,
        speed: [
          { ...shape, batch: 1, ratio: 3 },
          { ...shape, batch: 64, ratio: 1.1 },
        ],
      },
      layers2: {
        bound: 0.005,
        speed: [
          { ...shape, batch: 1, ratio: 2 },
          { ...shape, batch: 64, ratio: 2 },
        ],
      },
    },
  );
  for (const [inputs, variant] of [
    [1, 'int8'],
    [501, 'layers2'],
  ] as const) {
    const before = api.store.submitted.length;
    const body = { model: 'embed', input: Array(inputs).fill('a'), max_accuracy_loss: 0.01 };
    const response = await api.request('POST', '/v1/embeddings', body);
    expect(response.headers.get('x-shoal-model')).toBe(`embed@1:${variant}`);
    expect(EmbeddingsSchema.parse(await response.json()).model).toBe(`embed@1:${variant}`);
    const variants = new Set(api.store.submitted.slice(before).map(({ meta }) => meta.variant));
    expect([...variants]).toEqual([variant]);
    // Kept to what was measured, also where one choice is for many jobs.
    expect(api.store.submitted.slice(before).map(({ meta }) => meta.graph?.length)).not.toContain(undefined);
    expect(response.headers.get('x-shoal-accuracy-loss')).toContain('0.005');
  }
});

test('the card lists what each variant loses, how much faster it is, and of a cascade what its teacher answers', async () => {
  await start({}, { ...OTHERS, int8: { ...OTHERS.int8!, escalated: 0.3 } });
  const card = ModelCardSchema.parse(await (await api.request('GET', '/v1/models/topic')).json());
  expect(card.served).toMatchObject([
    { id: 'topic@1:fp32', original: true },
    {
      id: 'topic@1:int8',
      quality: { verdict: 'passed', accuracy_loss: { bound: 0.005 }, speeds: [{ batch: 1, ratio: 1.5 }] },
    },
    { id: 'topic@1:layers2', quality: { accuracy_loss: { metric: 'accuracy', mean: 0.01, bound: 0.02 } } },
  ]);
  expect(card.served[0]).not.toHaveProperty('quality');
  expect(card.served.map(({ quality }) => quality?.escalated)).toEqual([undefined, 0.3, undefined]);
});

describe('a job with an Idempotency-Key', () => {
  const body = { model: 'topic', input: 'small fish', max_accuracy_loss: 0.02 };
  const submit = (given: object) => api.request('POST', '/v1/jobs', given, { 'idempotency-key': 'one' });
  const idOf = async (response: Response) => ((await response.json()) as { id: string }).id;

  test('that allows something else is another job', async () => {
    await start();
    expect((await submit(body)).status).toBe(202);
    const other = await submit({ ...body, max_accuracy_loss: 0.005 });
    expect([other.status, await other.text()]).toEqual([422, expect.stringContaining('idempotency_conflict')]);
  });

  test('is one job, however the load is when it is repeated', async () => {
    await start({ accuracyUnderLoad: true });
    api.store.delays.set('topic.1.fp32.0', 31);
    const first = await idOf(await submit(body));
    expect(first).toContain('topic.1.layers2.0.');
    api.store.delays.clear();
    expect(await idOf(await submit(body))).toBe(first);
    expect(api.store.submitted).toHaveLength(1);
    // To the queue that its id names: in another one it would be taken for a job that is gone.
    expect(api.store.repeated.map(({ queue }) => queue)).toEqual(['topic.1.layers2.0']);
  });
});

test('where that is so configured, a request is given less only while the original is behind its objective', async () => {
  await start({ accuracyUnderLoad: true });
  const variants = async (...allowed: number[]) => {
    for (const max_accuracy_loss of allowed) {
      await api.request('POST', '/v1/jobs', { model: 'topic', input: 'small fish', max_accuracy_loss });
    }
    return api.store.submitted.slice(-allowed.length).map(({ meta }) => meta.variant);
  };
  expect(await variants(0, 0.005, 0.02)).toEqual(['fp32', 'fp32', 'fp32']);
  api.store.delays.set('topic.1.fp32.0', 30);
  expect(await variants(0, 0.005, 0.02)).toEqual(['fp32', 'fp32', 'fp32']);
  api.store.delays.set('topic.1.fp32.0', 31);
  expect(await variants(0, 0.005, 0.02)).toEqual(['fp32', 'int8', 'layers2']);
});
