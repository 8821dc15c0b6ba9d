/**
 * Requirement B: a model that does nothing, from submission to result, beside plain BullMQ adding and processing as many
 * jobs. Both in one process, and both with the worker in a process of its own. Over REST beside it.
 *
 * Two kinds of load, each the same for both: `submit` keeps a number of submissions open and lets results come when they
 * come; in `ask` every caller waits for its result before it submits again (BullMQ's own way: waitUntilFinished).
 */
import { once } from 'node:events';
import { type NewJob, openJobStore } from '@shoal/queue';
import { Queue, QueueEvents } from 'bullmq';
import { Redis } from 'ioredis';
import { measure } from './measure.js';
import { MODELS_DIR, NOOP } from './models.js';
import { newJob, TENANT, TOKENS } from './noop-job.js';
import { PLAIN_QUEUE, startPlainWorker } from './noop-plain.js';
import type { PlainOrder } from './noop-process.js';
import { SHOAL_QUEUE, startShoalWorker } from './noop-shoal.js';
import { openRedis, startProcess, startShoal } from './processes.js';
import { rateRow, ratioRow, type Section } from './report.js';
import { runBounded } from './rest-client.js';
import { playRounds } from './rounds.js';
import { ShoalRest } from './shoal-rest.js';

const WAIT_MS = 60_000;
const BULK_ITEMS = 1000;

const SINGLES = 5000;
const BULK = 40_000;
const SUBMITTERS = [64, 256];

interface Contestant {
  /** The process beside this one and its Redis. */
  readonly pids: readonly number[];
  /** `open` submissions at once; resolves when all jobs have been processed. */
  submit(count: number, open: number): Promise<void>;
  /** `callers` at once, each of which waits for its result before its next job. */
  ask(count: number, callers: number): Promise<void>;
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
  for (const contestant of [shoal, plain]) {
    await contestant.submit(2000, few);
    await contestant.ask(2000, few);
    await contestant.bulk(10_000);
  }
  const submit = (contestant: Contestant, open: number) => () =>
    measure(singles, contestant.pids, () => contestant.submit(singles, open));
  const ask = (contestant: Contestant) => () => measure(singles, contestant.pids, () => contestant.ask(singles, few));
  const results = await playRounds(
    {
      shoal64: submit(shoal, few),
      plain64: submit(plain, few),
      shoal256: submit(shoal, many),
      plain256: submit(plain, many),
      shoalAsk: ask(shoal),
      plainAsk: ask(plain),
      shoalBulk: () => measure(bulk, shoal.pids, () => shoal.bulk(bulk)),
      plainBulk: () => measure(singles, plain.pids, () => plain.bulk(singles)),
    },
    rounds,
    say,
  );
  const { shoal64, plain64, shoal256, plain256, shoalAsk, plainAsk, shoalBulk, plainBulk } = results;
  return {
    ratios: [
      ratioRow('B', `singly, ${few} submissions open ÷ plain BullMQ, ${topology}`, shoal64, plain64, 0.9),
      ratioRow('B', `singly, ${many} submissions open ÷ plain BullMQ, ${topology}`, shoal256, plain256, 0.9),
      ratioRow('B', `singly, ${few} callers wait ÷ plain BullMQ, callers wait, ${topology}`, shoalAsk, plainAsk, 0.9),
      ratioRow('B', `singly, ${few} callers wait ÷ plain BullMQ, nobody waits, ${topology}`, shoalAsk, plain64),
      ratioRow('B', `in bulk ÷ plain BullMQ (${few} submissions open), ${topology}`, shoalBulk, plain64, 5),
      ratioRow('B', `in bulk ÷ plain BullMQ with addBulk, ${topology}`, shoalBulk, plainBulk),
    ],
    figures: [
      rateRow('B', `no-op at libs/queue, singly, ${few} submissions open, ${topology}`, shoal64, 'jobs/s'),
      rateRow('B', `plain BullMQ, ${few} submissions open, ${topology}`, plain64, 'jobs/s'),
      rateRow('B', `no-op at libs/queue, singly, ${few} callers wait, ${topology}`, shoalAsk, 'jobs/s'),
      rateRow('B', `plain BullMQ, ${few} callers wait, ${topology}`, plainAsk, 'jobs/s'),
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
    tenantCapTokens: 1e9,
    tenantMemoryShare: 1,
    queueCapTokens: 1e9,
    memoryBudget: 8 * 1024 ** 3,
    clock: Date.now,
    onError: (error) => console.error(error),
  });
  const worker = await workerOf(topology, 'shoal', redis.url, () => startShoalWorker(redis.url));
  const admit = async (job: NewJob) => {
    const [admitted] = await store.submit([job], { watch: true });
    if (!admitted || admitted instanceof Error) throw admitted ?? new Error('no answer');
    return admitted.id;
  };
  const result = async (id: string) => {
    const { state } = await store.wait(TENANT.name, id, WAIT_MS);
    if (state !== 'completed') throw new Error(`a job is ${state}`);
  };
  return {
    pids: [redis.pid, ...worker.pids],
    async submit(count, open) {
      const results: Promise<void>[] = [];
      await runBounded(count, open, async () => void results.push(result(await admit(newJob(1)))));
      await Promise.all(results);
    },
    ask: (count, callers) => runBounded(count, callers, async () => result(await admit(newJob(1)))),
    async bulk(count) {
      const jobs = Array.from({ length: count / BULK_ITEMS }, () => newJob(BULK_ITEMS));
      await Promise.all(jobs.map(async (job) => result(await admit(job))));
    },
    async stop() {
      await worker.stop();
      await store.close();
      await redis.stop();
    },
  };
}

async function openPlain(topology: Topology): Promise<Contestant> {
  const redis = await openRedis(`plain-${topology.slice(0, 3)}`);
  const connection = new Redis(redis.url, { maxRetriesPerRequest: null });
  const queue = new Queue(PLAIN_QUEUE, { connection });
  await queue.waitUntilReady();
  // Every caller that waits adds one.
  queue.setMaxListeners(0);
  const events = new QueueEvents(PLAIN_QUEUE, { connection });
  await events.waitUntilReady();
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
    async submit(count, open) {
      const [all] = await processed(count, open);
      await runBounded(count, open, async () => {
        await queue.add('noop', data);
      });
      await all;
    },
    async ask(count, callers) {
      const [all] = await processed(count, callers);
      await runBounded(count, callers, async () => {
        // Its result must still be there when it is asked for.
        const job = await queue.add('noop', data, { removeOnComplete: { count: 1000 } });
        await job.waitUntilFinished(events, WAIT_MS);
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
      await events.close();
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
