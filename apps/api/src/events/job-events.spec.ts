import type { ItemResult, JobRecord } from '@shoal/contracts';
import { fakeFace } from '@shoal/intake/testing';
import type { JobPart, JobPiece, JobProgress } from '@shoal/queue';
import { describe, expect, test } from 'vitest';
import { JobEvents, readPosition } from './job-events.js';

const face = fakeFace('embed', 'feature-extraction');
const receipt = {
  batchId: 'x',
  batchSize: 1,
  paddedShare: 0,
  closedBy: 'idle' as const,
  queuedMs: 1,
  batchingMs: 1,
  runningMs: 1,
  attempts: 1,
};
const output = (value: number): ItemResult => ({
  receipt,
  output: { kind: 'vector', values: Float32Array.of(value), dims: [1] },
});
const FAILED = { code: 'inference_failed', title: 'Failed', detail: 'not a number', retryable: false } as const;

function record(changes: Partial<JobRecord> = {}, meta: Partial<JobRecord['meta']> = {}): JobRecord {
  return {
    id: 'embed.1.fp32.0.a',
    tenant: 'default',
    state: 'running',
    meta: {
      model: 'embed',
      version: '1',
      variant: 'fp32',
      task: 'feature-extraction',
      priority: 'normal',
      parameters: {},
      metadata: {},
      array: true,
      ...meta,
    },
    createdAt: 0,
    startedAt: 1000,
    endedAt: null,
    expiresAt: null,
    deadline: null,
    tokens: 3,
    total: 3,
    done: 0,
    failed: 0,
    resultBytes: 0,
    error: null,
    results: [null, null, null],
    ...changes,
  };
}

/** Items in the order 2, 0, 1: published as `seq` 1, 2, 3, with the index as their value. */
const PARTS: readonly JobPart[] = [2, 0, 1].map((index, i) => ({ seq: i + 1, index, result: output(index) }));
const ENDED = { state: 'completed', endedAt: 2000, expiresAt: 3000, done: 3 } as const;

type Look = Pick<JobProgress, 'record' | 'parts'> & Partial<JobProgress>;

/** What a reader gets that has had the event `lastEventId`, as `id type` and the output's index. */
function read(looks: readonly Look[], lastEventId?: string): string[] {
  const events = new JobEvents(face, readPosition(lastEventId));
  return looks.flatMap((look) =>
    events.next({ pieces: [], ...look }).map(({ id = '-', type, data }) => {
      const { index } = data as { index?: number };
      return `${id} ${type}${index === undefined ? '' : ` ${index}`}`;
    }),
  );
}

const WHOLE: readonly Look[] = [
  { record: record({ state: 'queued', startedAt: null }), parts: [] },
  { record: record(), parts: [] },
  { record: record({ done: 2 }), parts: PARTS.slice(0, 2) },
  { record: record(ENDED), parts: PARTS.slice(2) },
];
const ALL = [
  'queued job.queued',
  'started job.started',
  '1 job.output 2',
  '2 job.output 0',
  '- job.progress',
  '3 job.output 1',
  'end job.completed',
];

describe('the events of an array', () => {
  test('are its states, its outputs as they come, and its end', () => {
    expect(read(WHOLE)).toEqual(ALL);
  });

  test('are the same from one look as from many, but for the progress between', () => {
    expect(read([{ record: record(ENDED), parts: PARTS }])).toEqual(ALL.filter((event) => !event.startsWith('-')));
  });

  const resumable = ALL.filter((event) => !event.startsWith('-'));
  test.each(resumable.slice(0, -1).map((event, n) => [event, n] as const))('go on after %s', (event, n) => {
    const [id] = event.split(' ');
    const after = readPosition(id);
    const parts = PARTS.filter(({ seq }) => seq > after.parts);
    expect(read([{ record: record(ENDED), parts }], id)).toEqual(resumable.slice(n + 1));
  });

  test('end only when all of its outputs have been given', () => {
    const looks = [
      { record: record(ENDED), parts: PARTS.slice(0, 1) },
      { record: record(ENDED), parts: PARTS.slice(1) },
    ];
    expect(read(looks).filter((event) => !event.startsWith('-'))).toEqual(resumable);
  });

  test('have the error of an item in the place of its output', () => {
    const parts = [{ seq: 1, index: 0, result: { receipt, error: FAILED } }];
    const events = new JobEvents(face, readPosition('started')).next({
      record: record({ done: 1, failed: 1 }),
      parts,
      pieces: [],
    });
    expect(events[0]).toEqual({ id: '1', type: 'job.output', data: { index: 0, error: { ...FAILED, index: 0 } } });
  });

  test('end with what was published where the job was cancelled', () => {
    const cancelled = record({ state: 'cancelled', endedAt: 2000, done: 1 });
    expect(read([{ record: cancelled, parts: PARTS.slice(0, 1) }], 'started')).toEqual([
      '1 job.output 2',
      'end job.cancelled',
    ]);
  });
});

test('an element of several rows comes once, when its last row is there, with its rows in order', () => {
  const grouped = record({ ...ENDED }, { groups: [1, 2] });
  expect(read([{ record: grouped, parts: PARTS }], 'started')).toEqual([
    '2 job.output 0',
    '3 job.output 1',
    'end job.completed',
  ]);
  // Resumed in the middle of an element, with all of its parts again.
  expect(read([{ record: grouped, parts: PARTS }], '2')).toEqual(['3 job.output 1', 'end job.completed']);
});

describe('the events of texts', () => {
  const piece = (seq: number, index: number, from: number, text: string): JobPiece => {
    return { seq, index, piece: { from, ids: Uint32Array.of(7), text } };
  };
  // Two answers to the first of two prompts, one to the second.
  const looks: readonly Look[] = [
    { record: record({}, { groups: [2, 1] }), parts: [], pieces: [piece(1, 1, 0, 'Fish'), piece(2, 2, 0, 'Bread')] },
    { record: record({ done: 1 }, { groups: [2, 1] }), parts: [], pieces: [piece(3, 1, 1, ' swim')] },
    { record: record({ ...ENDED }, { groups: [2, 1] }), parts: PARTS },
  ];
  const all = [
    ...['0.1 job.text 0', '0.2 job.text 1', '0.3 job.text 0'],
    ...['1.3 job.output 1', '3.3 job.output 0', 'end job.completed'],
  ];

  test('tell each text as it grows, before its output', () => {
    expect(read(looks, 'started')).toEqual(all);
    const [first] = new JobEvents(face, readPosition('started')).next({ pieces: [], ...looks[0]! });
    expect(first).toEqual({
      id: '0.1',
      type: 'job.text',
      data: { index: 0, choice: 1, from: 0, tokens: 1, text: 'Fish' },
    });
  });

  test.each(all.slice(0, -1).map((event, n) => [event, n] as const))('go on after %s', (event, n) => {
    const [id] = event.split(' ');
    const after = readPosition(id);
    const rest = looks.map((look) => ({
      ...look,
      pieces: (look.pieces ?? []).filter(({ seq }) => seq > after.pieces),
    }));
    expect(read(rest, id)).toEqual(all.slice(n + 1));
  });
});

test('a single job ends with its output', () => {
  const single = record({ ...ENDED, total: 1, done: 1, results: [output(7)] }, { array: false });
  const events = new JobEvents(face, readPosition('started')).next({ record: single, parts: [], pieces: [] });
  expect(events).toMatchObject([{ id: 'end', type: 'job.completed', data: { status: 'completed', output: [7] } }]);
});

test.each(['0', '-1', '1.', '1.0', '01.2', 'x', '1e3', '99999999999'])('%s is no id of an event', (id) => {
  expect(() => readPosition(id)).toThrow('Last-Event-ID');
});
