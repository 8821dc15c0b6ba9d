/**
 * Requirement E: 1 to 16 worker processes whose device is a clock (20 ms for a batch of 16), all on one Redis: throughput
 * beside so many times that of one worker, and what an item costs Redis, a worker and the API's side, which tells how far
 * the machine, and a fleet, can go.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type OpenJobStore, openJobStore } from '@shoal/queue';
import { cpuMs } from './measure.js';
import { newJob, TENANT, TOKENS } from './noop-job.js';
import { SHOAL_QUEUE } from './noop-shoal.js';
import { openRedis, startProcess } from './processes.js';
import type { FigureRow, RatioRow, Section } from './report.js';
import { spread } from './rounds.js';

const FLEETS = [1, 2, 4, 8, 16];
const PASS_MS = 20;
const ROWS = 16;
/** What a worker's device does in a second at best. */
const DEVICE_RATE = (1000 / PASS_MS) * ROWS;
const TARGET = 0.95;

/** Counted once V8 has compiled what the workers run, and while there is still work. */
const WARM_UP_MS = 10_000;
const COUNTED_MS = 6000;

export interface ScaleOptions {
  readonly rounds: number;
  readonly scale: number;
  readonly say: (line: string) => void;
}

/** Of one fleet in one round; CPU in µs per item. */
interface Sample {
  readonly rate: number;
  readonly redis: number;
  readonly workers: number;
  readonly submitter: number;
  /** Share of one core that Redis used. */
  readonly redisBusy: number;
}

interface Load {
  readonly name: string;
  /** Items of one job. */
  readonly items: number;
}

const LOADS: readonly Load[] = [
  { name: 'arrays of 1,000', items: 1000 },
  { name: 'single jobs', items: 1 },
];

export async function scaleBench({ rounds, scale, say }: ScaleOptions): Promise<Section[]> {
  const sections: Section[] = [];
  for (const load of LOADS) {
    say(`scale-out, ${load.name}:`);
    const samples = new Map<number, Sample[]>(FLEETS.map((fleet) => [fleet, []]));
    for (let round = 0; round < rounds; round++) {
      for (const fleet of FLEETS) {
        const sample = await runFleet(fleet, load, COUNTED_MS * Math.max(scale, 0.5));
        samples.get(fleet)!.push(sample);
        const { rate, redis, workers, submitter, redisBusy } = sample;
        const costs = [redis, workers, submitter].map((cost) => cost.toFixed(0)).join(' + ');
        say(
          `  round ${round + 1}: ${fleet} workers ${rate.toFixed(0)}/s of ${fleet * DEVICE_RATE}, µs per item ${costs}, ` +
            `Redis busy ${(100 * redisBusy).toFixed(0)} %`,
        );
      }
    }
    sections.push(section(load, samples));
  }
  return sections;
}

function section({ name }: Load, samples: ReadonlyMap<number, readonly Sample[]>): Section {
  const alone = samples.get(1)!;
  const ratios: RatioRow[] = [];
  const figures: FigureRow[] = [];
  const figure = (what: string, values: readonly number[], unit: string) =>
    figures.push({ requirement: 'E', what: `${what}, ${name}`, value: spread(values), unit });
  for (const [fleet, taken] of samples) {
    const linear = taken.map(({ rate }, round) => rate / (fleet * alone[round]!.rate));
    const none = taken.map(() => Number.NaN);
    ratios.push({
      requirement: 'E',
      what: `${fleet} workers ÷ ${fleet} × one worker, ${name}`,
      speed: spread(linear),
      cpu: spread(none),
      ...(fleet > 1 && { target: TARGET }),
    });
    const rates = taken.map(({ rate }) => rate);
    figure(`${fleet} workers`, rates, 'items/s');
    figure(
      `${fleet} workers: devices busy`,
      rates.map((rate) => (100 * rate) / (fleet * DEVICE_RATE)),
      '%',
    );
    figure(
      `${fleet} workers: Redis`,
      taken.map(({ redis }) => redis),
      'µs/item',
    );
    figure(
      `${fleet} workers: worker`,
      taken.map(({ workers }) => workers),
      'µs/item',
    );
    figure(
      `${fleet} workers: submitter`,
      taken.map(({ submitter }) => submitter),
      'µs/item',
    );
    figure(
      `${fleet} workers: Redis busy`,
      taken.map(({ redisBusy }) => 100 * redisBusy),
      '% of a core',
    );
  }
  return { ratios, figures, notes: [] };
}

async function runFleet(fleet: number, load: Load, countedMs: number): Promise<Sample> {
  const redis = await openRedis('scale');
  const workers: Awaited<ReturnType<typeof startProcess>>[] = [];
  const store = await openJobStore({
    redisUrl: redis.url,
    queues: [SHOAL_QUEUE],
    tenantCapTokens: 1e12,
    tenantMemoryShare: 1,
    queueCapTokens: 1e12,
    memoryBudget: 8 * 1024 ** 3,
    clock: Date.now,
    onError: (error) => console.error(error),
  });
  try {
    const args = [redis.url, String(PASS_MS), String(ROWS), String(TOKENS)];
    for (let n = 0; n < fleet; n++) {
      workers.push(await startProcess({ script: 'bench/dist/scale-process.js', args, ready: 'scale.ready' }));
    }
    const submitting = keepFull(store, load, fleet);
    await sleep(WARM_UP_MS);
    const children = workers.map(({ child }) => child);
    const sample = await count(redis.pid, children, countedMs);
    submitting.stop();
    return sample;
  } finally {
    await Promise.all(workers.map(({ running }) => running.stop()));
    await store.close();
    await redis.stop();
  }
}

/** Submits so that the fleet always has two seconds of work before it, until stopped. */
function keepFull(store: OpenJobStore, { items }: Load, fleet: number): { stop(): void } {
  let running = true;
  const wanted = 2 * fleet * DEVICE_RATE;
  const lanes = items === 1 ? Math.min(wanted, 4096) : Math.max(2, Math.ceil(wanted / items));
  const lane = async () => {
    while (running) {
      const [admitted] = await store.submit([newJob(items)], { watch: true });
      if (!admitted || admitted instanceof Error) throw admitted ?? new Error('no answer');
      if (running) await store.wait(TENANT.name, admitted.id, 60_000);
    }
  };
  for (let n = 0; n < lanes; n++) lane().catch((error: unknown) => running && console.error(error));
  return {
    stop() {
      running = false;
    },
  };
}

/** Neither the start nor the end of the load counts. */
async function count(redisPid: number, workers: readonly ChildProcess[], ms: number): Promise<Sample> {
  const pids = workers.map(({ pid }) => pid!);
  const usage = () => [cpuMs([redisPid]), cpuMs(pids), cpuMs([process.pid])] as const;
  const [itemsBefore, before, started] = [await published(workers), usage(), performance.now()];
  await sleep(ms);
  const [items, after, seconds] = [
    (await published(workers)) - itemsBefore,
    usage(),
    (performance.now() - started) / 1000,
  ];
  const cost = (n: 0 | 1 | 2) => (1000 * (after[n] - before[n])) / items;
  return {
    rate: items / seconds,
    redis: cost(0),
    workers: cost(1),
    submitter: cost(2),
    redisBusy: (after[0] - before[0]) / 1000 / seconds,
  };
}

/** Items that the workers have published together. */
async function published(workers: readonly ChildProcess[]): Promise<number> {
  const counts = await Promise.all(
    workers.map(async (worker): Promise<number> => {
      const answer = once(worker, 'message');
      worker.send('count');
      return (await answer)[0];
    }),
  );
  return counts.reduce((sum, one) => sum + one, 0);
}
