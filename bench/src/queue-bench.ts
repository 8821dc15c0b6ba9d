/**
 * Requirement B: a model that does nothing, from submission to result, beside plain BullMQ adding and processing as many
 * jobs. Both in one process, and both with the worker in a process of its own. Over REST beside it.
 */
import { once } from 'node:events';
import { type NewJob, openJobStore } from '@shoal/queue';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { measure } from './measure.js';
import { MODELS_DIR, NOOP } from './models.js';
import { PLAIN_QUEUE, startPlainWorker } from './noop-plain.js';
import type { PlainOrder } from './noop-process.js';
import { SHOAL_QUEUE, startShoalWorker } from './noop-shoal.js';
import { openRedis, startProcess, startShoal } from './processes.js';
import { rateRow, ratioRow, type Section } from './report.js';
import { runBounded } from './rest-client.js';
import { playRounds } from './rounds.js';
import { ShoalRest } from './shoal-rest.js';

const TENANT = { name: 'bench', weight: 1 };
const TOKENS = 16;
const DAY_MS = 24 * 3600_000;
const WAIT_MS = 60_000;
const BULK_ITEMS = 1000;

const SINGLES = 5000;
const BULK = 40_000;
const SUBMITTERS = [64, 256];

interface Contestant {
  /** The process beside this one and its Redis. */
  readonly pids: readonly number[];
  singles(count: number, submitters: number): Promise<void>;
  bulk(count: number): Promise<void>;
  stop(): Promise<void>;
}

type Topology = 'one process' | 'two processes';

export interface QueueOptions {
  readonly rounds: number;
  readonly scale: number;
  readonly say: (line: string) => void;
}

export async function queueBench(options: QueueOptions): Promise<Section> {
  const closers: (() => Promise<void>)[] = [];
  try {
    const sections: Section[] = [];
    for (const topology of ['one process', 'two processes'] as const) {
      const shoal = await openShoal(topology);
      closers.push(() => shoal.stop());
      const plain = await openPlain(topology);
      closers.push(() => plain.stop());
      sections.push(await compare(topology, shoal, plain, options));
    }
    sections.push(await overRest(options));
    return {
      ratios: sections.flatMap(({ ratios }) => ratios),
      figures: sections.flatMap(({ figures }) => figures),
      notes: sections.flatMap(({ notes }) => notes),
    };
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function compare(
  topology: Topology,
  shoal: Contestant,
  plain: Contestant,
  { rounds, scale, say }: QueueOptions,
): Promise<Section> {
  const [singles, bulk] = [Math.round(SINGLES * scale), BULK_ITEMS * Math.round((BULK * scale) / BULK_ITEMS)];
  const [few = 0, many = 0] = SUBMITTERS;
  say(`no-op, ${topology}:`);
  for (const contestant of [shoal, plain]) await contestant.singles(1000, few);
  const single = (contestant: Contestant, submitters: number) => () =>
    measure(singles, contestant.pids, () => contestant.singles(singles, submitters));
  const results = await playRounds(
    {
      shoal64: single(shoal, few),
      plain64: single(plain, few),
      shoal256: single(shoal, many),
      plain256: single(plain, many),
      shoalBulk: () => measure(bulk, shoal.pids, () => shoal.bulk(bulk)),
      plainBulk: () => measure(singles, plain.pids, () => plain.bulk(singles)),
    },
    rounds,
    say,
  );
  const { shoal64, plain64, shoal256, plain256, shoalBulk, plainBulk } = results;
  return {
    ratios: [
      ratioRow('B', `singly, ${few} submitters ÷ plain BullMQ, ${topology}`, shoal64, plain64, 0.9),
      ratioRow('B', `singly, ${many} submitters ÷ plain BullMQ, ${topology}`, shoal256, plain256, 0.9),
      ratioRow('B', `in bulk ÷ plain BullMQ (${few} submitters), ${topology}`, shoalBulk, plain64, 5),
      ratioRow('B', `in bulk ÷ plain BullMQ with addBulk, ${topology}`, shoalBulk, plainBulk),
    ],
    figures: [
      rateRow('B', `no-op at libs/queue, singly, ${few} submitters, ${topology}`, shoal64, 'jobs/s'),
      rateRow('B', `plain BullMQ, ${few} submitters, ${topology}`, plain64, 'jobs/s'),
      rateRow('B', `no-op at libs/queue, in bulk, ${topology}`, shoalBulk, 'items/s'),
      rateRow('B', `plain BullMQ with addBulk, ${topology}`, plainBulk, 'jobs/s'),
    ],
    notes: [],
  };
}

/** Not part of the ratio: HTTP, JSON and validation come on top. */
async function overRest({ rounds, scale, say }: QueueOptions): Promise<Section> {
  const OPEN = 128;
  const shoal = await startShoal({ modelsDir: MODELS_DIR, models: [NOOP] });
  const rest = new ShoalRest(shoal.origin, NOOP, OPEN);
  try {
    say('no-op over REST:');
    const [singles, bulk] = [Math.round(2000 * scale), 1000 * Math.round(10 * scale)];
    const inputs = Array.from({ length: Math.max(singles, bulk) }, () => ({ x: [[0.5]] }));
    await rest.singles(inputs.slice(0, 500), OPEN);
    const pids = Object.values(shoal.pids);
    const results = await playRounds(
      {
        singles: () => measure(singles, pids, () => rest.singles(inputs.slice(0, singles), OPEN)),
        bulk: () => measure(bulk, pids, () => rest.bulk(inputs.slice(0, bulk))),
      },
      rounds,
      say,
    );
    return {
      ratios: [],
      figures: [
        rateRow('B', `no-op over REST, one call per job, ${OPEN} open requests`, results.singles, 'jobs/s'),
        rateRow('B', 'no-op over REST, in bulk', results.bulk, 'items/s'),
      ],
      notes: [],
    };
  } finally {
    rest.close();
    await shoal.stop();
  }
}

async function openShoal(topology: Topology): Promise<Contestant> {
  const redis = await openRedis(`noop-${topology.slice(0, 3)}`);
  const store = await openJobStore({
    redisUrl: redis.url,
    queues: [SHOAL_QUEUE],
    retentionMs: DAY_MS,
    tenantCapTokens: 1e9,
    queueCapTokens: 1e9,
    memoryBudget: 8 * 1024 ** 3,
    clock: Date.now,
    onError: (error) => console.error(error),
  });
  const worker = await workerOf(topology, 'shoal', redis.url, () => startShoalWorker(redis.url));
  const submit = async (job: NewJob) => {
    const [admitted] = await store.submit([job]);
    if (!admitted || admitted instanceof Error) throw admitted ?? new Error('no answer');
    const { state } = await store.wait(TENANT.name, admitted.id, WAIT_MS);
    if (state !== 'completed') throw new Error(`a job is ${state}`);
  };
  return {
    pids: [redis.pid, ...worker.pids],
    singles: (count, submitters) => runBounded(count, submitters, () => submit(newJob(1))),
    async bulk(count) {
      await Promise.all(Array.from({ length: count / BULK_ITEMS }, () => submit(newJob(BULK_ITEMS))));
    },
    async stop() {
      await worker.stop();
      await store.close();
      await redis.stop();
    },
  };
}

function newJob(items: number): NewJob {
  return {
    queue: SHOAL_QUEUE,
    tenant: TENANT,
    meta: {
      model: 'noop',
      version: '1',
      variant: 'fp32',
      task: 'tensors',
      priority: 'normal',
      parameters: {},
      metadata: {},
      array: items > 1,
    },
    items: Array.from({ length: items }, () => ({ kind: 'text', ids: new Uint32Array(TOKENS) })),
    tokens: new Array<number>(items).fill(TOKENS),
    resultBytes: 16 * items,
  };
}

async function openPlain(topology: Topology): Promise<Contestant> {
  const redis = await openRedis(`plain-${topology.slice(0, 3)}`);
  const connection = new Redis(redis.url, { maxRetriesPerRequest: null });
  const queue = new Queue(PLAIN_QUEUE, { connection });
  await queue.waitUntilReady();
  const data = { ids: new Array<number>(TOKENS).fill(7) };
  let processed: (count: number, concurrency: number) => Promise<Promise<void>[]>;
  const worker = await workerOf(topology, 'plain', redis.url, async () => {
    const plain = await startPlainWorker(redis.url);
    processed = async (count, concurrency) => [plain.processed(count, concurrency)];
    return () => plain.close();
  });
  const { child } = worker;
  if (child) {
    processed = async (count, concurrency) => {
      const counting = once(child, 'message');
      child.send({ count, concurrency } satisfies PlainOrder);
      await counting;
      return [once(child, 'message').then(() => undefined)];
    };
  }
  return {
    pids: [redis.pid, ...worker.pids],
    async singles(count, submitters) {
      const [all] = await processed(count, submitters);
      await runBounded(count, submitters, async () => {
        await queue.add('noop', data);
      });
      await all;
    },
    async bulk(count) {
      const [all] = await processed(count, SUBMITTERS[0]!);
      for (let n = 0; n < count; n += BULK_ITEMS) {
        const size = Math.min(BULK_ITEMS, count - n);
        await queue.addBulk(Array.from({ length: size }, () => ({ name: 'noop', data })));
      }
      await all;
    },
    async stop() {
      await worker.stop();
      await queue.close();
      connection.disconnect();
      await redis.stop();
    },
  };
}

/** Where the worker lives: here, or in a process of its own. */
async function workerOf(
  topology: Topology,
  kind: 'shoal' | 'plain',
  redisUrl: string,
  here: () => Promise<() => Promise<void>>,
) {
  if (topology === 'one process') return { pids: [], stop: await here(), child: undefined };
  const { child, running } = await startProcess({
    script: 'bench/dist/noop-process.js',
    args: [kind, redisUrl],
    ready: 'noop.ready',
  });
  return { pids: [running.pid], stop: () => running.stop(), child };
}
