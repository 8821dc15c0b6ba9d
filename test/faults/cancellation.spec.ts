import type { JobView } from '@shoal/contracts';
import { expect } from 'vitest';
import type { Api } from '../support/fleet.js';
import { countersOf, openRig, type Rig } from './rig.js';
import { type Row, scenario, sized } from './scenario.js';
import { itemOf, openScripted, SCRIPTED_MODEL, type Scripted } from './scripted.js';

const ROUNDS = sized(3, 1);
const JOBS = 16;
const MAX_SEEN_MS = 1000;
/** Jobs reach their stage long before it, and the pass that they are in, or wait for, ends after it. */
const DEADLINE_S = 2;
const PASS_MS = 4000;
const STAGES = ['queued', 'held', 'running'] as const;
type Stage = (typeof STAGES)[number];

interface Setting {
  readonly rig: Rig;
  readonly scripted: Scripted;
  /** The replica that took the jobs and has their callers waiting. */
  readonly taker: Api;
}

interface Waiting {
  readonly id: string;
  /** The job when it has ended, and when its caller was told so. */
  readonly told: Promise<{ job: JobView; at: number }>;
}

async function open(row: Row): Promise<Setting & { readonly other: Api }> {
  row.load = `${ROUNDS} × ${JOBS} jobs queued, held and running each`;
  const rig = await openRig(SCRIPTED_MODEL);
  return {
    rig,
    scripted: openScripted(rig, { batch: JOBS }),
    taker: await rig.startApi(),
    other: await rig.startApi(),
  };
}

/** Submits jobs numbered from `first` and brings them to a stage; `leave` ends what holds them there. */
async function bringTo(stage: Stage, { rig, scripted, taker }: Setting, first: number, more: object) {
  const worker = stage === 'queued' ? null : await scripted.start();
  const blocker = first + JOBS;
  const blocking = stage === 'held' ? await taker.submit(itemOf(blocker, PASS_MS)) : null;
  if (blocking) {
    await expect.poll(() => scripted.passes().starts.has(blocker), { interval: 10, timeout: 30_000 }).toBe(true);
  }
  const jobs = Array.from({ length: JOBS }, (_, n) => ({
    model: rig.model,
    input: itemOf(first + n, PASS_MS),
    ...more,
  }));
  const response = await taker.post('/v1/jobs/bulk', { jobs });
  const { data } = (await response.json()) as { data: { job: { id: string } }[] };
  const waiting = data.map(({ job: { id } }): Waiting => {
    return { id, told: taker.end(id).then((job) => ({ job, at: Date.now() })) };
  });
  const views = () => Promise.all(waiting.map(async ({ id }) => (await fetch(`${taker.url}/v1/jobs/${id}`)).json()));
  const stateOf = async () => new Set(((await views()) as JobView[]).map(({ status }) => status));
  if (stage === 'running') {
    await expect.poll(stateOf, { interval: 20, timeout: 30_000 }).toEqual(new Set(['running']));
  } else {
    const fetched = () => rig.redis.zcard(`${rig.tag}:chunks:prioritized`).then((chunks) => chunks === 0);
    await expect.poll(fetched, { interval: 20, timeout: 30_000 }).toBe(stage === 'held');
    expect(await stateOf()).toEqual(new Set(['queued']));
  }
  const leave = async () => {
    const next = worker ?? (await scripted.start());
    // By now the worker has dropped them, or has fetched them and found nothing to do.
    await taker.end(await taker.submit(itemOf(blocker + 1, 0)));
    expect(await next.stop()).toBe('exit code 0');
    const { starts } = scripted.passes();
    const ran = waiting.filter((_, n) => starts.has(first + n)).length;
    expect(ran).toBe(stage === 'running' ? JOBS : 0);
  };
  return { waiting, leave };
}

type End = 'cancelled' | 'expired';

/** What the callers were told must stay, be announced once, and leave nothing behind. */
async function expectEnds(waiting: readonly Waiting[], end: End, { rig, taker }: Setting, row: Row): Promise<void> {
  const told = await Promise.all(waiting.map((entry) => entry.told));
  const jobs = await Promise.all(waiting.map(({ id }) => taker.end(id)));
  expect(jobs).toEqual(told.map(({ job }) => job));
  row.jobs = (row.jobs ?? 0) + jobs.length;
  row.lost = (row.lost ?? 0) + jobs.filter(({ status }) => status !== end).length;
  row.duplicated = (row.duplicated ?? 0) + waiting.filter(({ id }) => rig.endings.get(id) !== 1).length;
  expect({ lost: row.lost, duplicated: row.duplicated }).toEqual({ lost: 0, duplicated: 0 });
  expect(await countersOf(rig)).toMatchObject({ jobs: 0, tokens: 0, reserved: 0, outstanding: {} });
}

/** Runs every stage; `endAll` resolves to how long in ms each caller had to wait to be told. */
async function atEveryStage(
  row: Row,
  more: object,
  end: End,
  endAll: (waiting: readonly Waiting[], other: Api) => Promise<number[]>,
): Promise<void> {
  const { other, ...setting } = await open(row);
  let first = 0;
  for (const stage of STAGES) {
    const delays: number[] = [];
    for (let round = 0; round < ROUNDS; round++, first += JOBS + 2) {
      const { waiting, leave } = await bringTo(stage, setting, first, more);
      delays.push(...(await endAll(waiting, other)));
      await leave();
      await expectEnds(waiting, end, setting, row);
    }
    row.recovery = Math.max(row.recovery ?? 0, Math.max(...delays) / 1000);
    row.note += `${row.note && '; '}${stage}: told after ${Math.max(...delays).toFixed(0)} ms at most`;
    expect(Math.max(...delays)).toBeLessThanOrEqual(MAX_SEEN_MS);
  }
}

scenario('cancelled at every stage, on another replica', async (row) => {
  await atEveryStage(row, {}, 'cancelled', (waiting, other) =>
    Promise.all(
      waiting.map(async ({ id, told }) => {
        const called = Date.now();
        expect((await other.post(`/v1/jobs/${id}/cancel`, {})).status).toBe(200);
        return (await told).at - called;
      }),
    ),
  );
});

scenario('past its deadline at every stage', async (row) => {
  await atEveryStage(row, { deadline: DEADLINE_S }, 'expired', (waiting) =>
    Promise.all(
      waiting.map(async ({ told }) => {
        const { job, at } = await told;
        const delay = at - Date.parse(job.deadline!);
        expect(delay).toBeGreaterThanOrEqual(0);
        return delay;
      }),
    ),
  );
});
