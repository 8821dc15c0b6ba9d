import type { JobRecord } from '@shoal/contracts';
import type { Message } from '@shoal/queue';
import { MAX_BODY_BYTES } from '@shoal/webhooks';
import { expect, test } from 'vitest';
import { type PayloadSource, payloadOf } from './payload.js';

const AT = Date.UTC(2026, 0, 5);
const JOB = 'topic.1.fp32.0.01kdxw0000abcdefghjkmnpqrs';

const MESSAGE: Message = {
  id: 'msg_1',
  tenant: 'acme',
  destination: 'ep_1',
  carrier: 'msg_1',
  type: 'job.completed',
  job: JOB,
  sequence: 3,
  at: AT,
  state: 'pending',
  attempts: 0,
  step: 0,
};

const RECORD: JobRecord = {
  id: JOB,
  tenant: 'acme',
  state: 'completed',
  meta: {
    model: 'topic',
    version: '1',
    variant: 'fp32',
    task: 'text-classification',
    priority: 'normal',
    parameters: {},
    metadata: { order: '7' },
    array: false,
  },
  createdAt: AT - 20,
  startedAt: AT - 10,
  endedAt: AT,
  expiresAt: AT + 1000,
  deadline: null,
  tokens: 4,
  total: 1,
  done: 1,
  failed: 0,
  resultBytes: 0,
  error: null,
  results: [null],
};

function source(record: JobRecord | null, output: unknown = 'label', publicUrl = ''): PayloadSource {
  return {
    records: {
      readJob: async () => record && { ...record, results: [] },
      readResults: async () => record,
      resultsFit: async () => true,
    },
    presenterOf: () => ({ present: () => ({ output, errors: [] }) }),
    publicUrl,
  };
}

async function dataOf(...args: Parameters<typeof payloadOf>): Promise<Record<string, unknown>> {
  const { body } = await payloadOf(...args);
  expect(body.length).toBeLessThanOrEqual(MAX_BODY_BYTES);
  return (JSON.parse(body.toString()) as { data: Record<string, unknown> }).data;
}

test('the end of a job holds the job as GET shows it, and the number of the event', async () => {
  const data = await dataOf(MESSAGE, source(RECORD));
  expect(data).toMatchObject({ id: JOB, status: 'completed', output: 'label', metadata: { order: '7' }, sequence: 3 });
  expect(data).not.toHaveProperty('thin');
});

test('a result that is too large is left out, with the URL where it is', async () => {
  const data = await dataOf(MESSAGE, source(RECORD, 'x'.repeat(MAX_BODY_BYTES), 'https://shoal.example.com'));
  expect(data).toMatchObject({ thin: true, status: 'completed', metadata: { order: '7' }, sequence: 3 });
  expect(data).toHaveProperty('links.self', `https://shoal.example.com/v1/jobs/${JOB}`);
  expect(data).not.toHaveProperty('output');
});

test('a result that is stored in too many bytes is not even read', async () => {
  const asked: number[] = [];
  const small = source(RECORD);
  const records: PayloadSource['records'] = {
    ...small.records,
    resultsFit: async (_, maxBytes) => {
      asked.push(maxBytes);
      return false;
    },
    readResults: () => Promise.reject(new Error('was read')),
  };
  const large = { ...small, records };
  expect(await dataOf(MESSAGE, large)).toMatchObject({ thin: true, status: 'completed', metadata: { order: '7' } });
  expect(asked).toHaveLength(1);
});

test('metadata that is too large goes too', async () => {
  const metadata = Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`key-${n}`, '\u0001'.repeat(512)]));
  const data = await dataOf(MESSAGE, source({ ...RECORD, meta: { ...RECORD.meta, metadata } }));
  expect(Object.keys(data).sort()).toEqual(['id', 'links', 'object', 'sequence', 'status', 'thin']);
});

test('a job that is gone is told from its event alone', async () => {
  expect(await dataOf(MESSAGE, source(null))).toMatchObject({ id: JOB, status: 'completed', sequence: 3, thin: true });
  const started = { ...MESSAGE, type: 'job.started' };
  expect(await dataOf(started, source(null))).toMatchObject({ status: 'running' });
});

test('a job of a version that is not here is told without its output', async () => {
  const data = await dataOf(MESSAGE, { ...source(RECORD), presenterOf: () => undefined });
  expect(data).toMatchObject({ thin: true, error: null });
});

test('a running job is shown as it stands', async () => {
  const running = { ...RECORD, state: 'running' as const, endedAt: null, expiresAt: null };
  const data = await dataOf({ ...MESSAGE, type: 'job.output', sequence: 2 }, source(running));
  expect(data).toMatchObject({ status: 'running', output: null, sequence: 2 });
  expect(data).not.toHaveProperty('thin');
});

test('a test says what it is', async () => {
  const data = await dataOf({ ...MESSAGE, type: 'webhook.test', job: null }, source(null));
  expect(data).toEqual({ object: 'webhook_test', endpoint: 'ep_1' });
});
