/** Texts go on where workers, an API replica and Redis do not. */
import { expect, onTestFinished } from 'vitest';
import { inParallel, readMetric } from '../support/fleet.js';
import { openClient, partingOf, WITH_ALTERNATIVES, whole } from '../support/texts.js';
import { countersOf, openRig, type Rig } from './rig.js';
import { scenario, sized } from './scenario.js';
import { type ReadAnswer, readAnew, readKept, requestOf } from './texts.js';

const TEXTS = sized(100, 40);
const TOKENS = 120;
const ROUNDS = sized(5, 1);
const READERS = 16;
const MAX_RECOVERY_S = 15;
/** Log probabilities of the two likeliest tokens, where rounding decides between them. */
const NEAR_TIE = 0.05;

type Worker = Awaited<ReturnType<Rig['startWorker']>>;

/** Resolves when the worker has items to run. */
async function isBusy({ metricsUrl }: Worker): Promise<void> {
  await expect
    .poll(() => readMetric(metricsUrl, 'shoal_items_in_flight'), { interval: 5, timeout: 60_000 })
    .toBeGreaterThan(0);
}

function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1]!;
}

scenario(`texts streamed, ${ROUNDS} × worker SIGKILL and SIGTERM, API SIGKILL, Redis SIGKILL`, async (row) => {
  row.load = `${READERS} readers of texts of ${TOKENS} tokens, two workers, two API replicas`;
  const rig = await openRig({ model: 'wordnet-lm', env: { SHOAL_GENERATION_THREADS: '1' } });
  const apis = [await rig.startApi(), await rig.startApi()];
  const workers = [await rig.startWorker(), await rig.startWorker()];
  const requests = Array.from({ length: TEXTS }, (_, n) => ({ ...requestOf(n, TOKENS), ...WITH_ALTERNATIVES }));
  const client = openClient(apis[0]!.url);
  const undisturbed = await inParallel(READERS, requests, (request) => whole(client, request));
  expect(undisturbed.filter(({ tokens }) => tokens.length !== TOKENS)).toEqual([]);

  let over = false;
  onTestFinished(() => {
    over = true;
  });
  const answers: (ReadAnswer & {
    readonly n: number;
    readonly ids?: readonly string[];
  })[] = [];
  let next = 0;
  const readers = Array.from({ length: READERS }, async (_, reader) => {
    while (!over || next < TEXTS) {
      const n = next++ % TEXTS;
      const urlOf = (attempt: number) => apis[(reader + attempt) % apis.length]!.url;
      const read = reader % 4 === 0 ? readAnew : readKept;
      answers.push({ n, ...(await read(urlOf, requests[n]!)) });
    }
  });
  const faults = async () => {
    for (let round = 0; round < ROUNDS; round++) {
      await isBusy(workers[0]!);
      workers[0]!.kill('SIGKILL');
      await workers[0]!.exited;
      workers[0] = await rig.startWorker();
      await isBusy(workers[1]!);
      workers[1]!.kill('SIGTERM');
      expect(await workers[1]!.exited).toBe('exit code 0');
      workers[1] = await rig.startWorker();
      await isBusy(workers[0]!);
      apis[1]!.process.kill('SIGKILL');
      await apis[1]!.process.exited;
      apis[1] = await rig.startApi();
      await isBusy(workers[1]!);
      await rig.server.crash();
      await rig.server.restart();
    }
    over = true;
  };
  await Promise.all([faults(), ...readers]);

  row.jobs = answers.length;
  row.lost = answers.filter(({ finish, tokens }) => finish !== 'length' || tokens.length !== TOKENS).length;
  const kept = answers.filter(({ ids }) => ids !== undefined);
  const repeated = kept.filter(({ ids }) => new Set(ids).size !== ids!.length);
  row.duplicated = repeated.length;
  const silences = answers.map(({ silence }) => silence);
  row.recovery = Math.max(...silences);
  const partings = answers.flatMap((answer) => {
    const parting = partingOf(undisturbed[answer.n]!, answer);
    return parting === null ? [] : [{ n: answer.n, parting }];
  });
  const p95 = percentile(silences, 0.95);
  const resumed = kept.filter(({ connections }) => connections > 1).length;
  row.note = `${resumed} resumed, ${partings.length} parted; silence p95 ${p95.toFixed(1)} s`;
  if (partings.length > 0) row.note += `; parted: ${JSON.stringify(partings)}`;
  expect({ lost: row.lost, duplicated: row.duplicated }).toEqual({ lost: 0, duplicated: 0 });
  expect(kept.flatMap(({ ids }) => gapsOf(ids!))).toEqual([]);
  expect(p95).toBeLessThanOrEqual(MAX_RECOVERY_S);
  expect(partings.filter(({ n, parting }) => n % 2 === 0 && !(parting <= NEAR_TIE))).toEqual([]);
  // What an API that was killed left behind ends on its own.
  await expect.poll(() => countersOf(rig)).toMatchObject({ jobs: 0, tokens: 0, reserved: 0, outstanding: {} });
});

/** Ids that do not come next. Each piece counts one up, then comes the rest of the answer, then its end. */
function gapsOf(ids: readonly string[]): string[] {
  const last = ids.at(-1) ?? '';
  const pieces = Number.parseInt(last, 10);
  const wanted = Array.from({ length: pieces + 1 }, (_, n) => `${n}.0`);
  const tail = ids.slice(pieces + 1).join(' ');
  const ending = [`${pieces}.1`, `${pieces}.0r ${pieces}.1`];
  return ids.slice(0, pieces + 1).join(' ') === wanted.join(' ') && ending.includes(tail) ? [] : [ids.join(' ')];
}
