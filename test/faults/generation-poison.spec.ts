/** A text that ends the process that makes it, among others that do not. */
import { expect, onTestFinished } from 'vitest';
import { inParallel } from '../support/fleet.js';
import { startApp } from '../support/processes.js';
import { countersOf, openRig, type Rig } from './rig.js';
import { scenario, sized } from './scenario.js';

const TEXTS = sized(64, 24);
const TOKENS = 100;
const FATAL = 4000;
const POISON = 5;
const STRIKES = 3;
/** Seconds for each death. */
const MAX_RECOVERY_S = 15;

function startPoisoned(rig: Rig, at: number) {
  const env = { ...rig.env, SHOAL_POISON: String(FATAL), SHOAL_POISON_AT: String(at) };
  return startApp('test/faults/poisoned-generator.mjs', 'worker.ready', { redisUrl: rig.redisUrl, env });
}

/** How often its worker dies: with more than 64 tokens written its first death is not blamed on it. */
const KINDS = [
  { name: 'prefill', at: 0, crashes: STRIKES },
  { name: 'its 50th token', at: 50, crashes: STRIKES },
  { name: 'its 90th token', at: 90, crashes: STRIKES + 1 },
];

for (const { name, at, crashes: expected } of KINDS)
  scenario(`a text that ends its worker at ${name}`, async (row) => {
    row.load = `1 in ${TEXTS} texts, two workers`;
    const rig = await openRig({ model: 'wordnet-lm', env: { SHOAL_GENERATION_THREADS: '1' } });
    const api = await rig.startApi();
    const prompts = Array.from({ length: TEXTS }, (_, n) => [1, 100 + n, n === POISON ? FATAL : 200]);
    const ids = await inParallel(8, prompts, async (tokens) => {
      const parameters = { max_tokens: TOKENS, ignore_eos: true, temperature: 0 };
      const response = await api.post('/v1/jobs', { model: rig.model, input: { tokens }, parameters });
      expect(response.status).toBe(202);
      return ((await response.json()) as { id: string }).id;
    });

    const started = performance.now();
    let crashes = 0;
    let over = false;
    const ended = Promise.all(ids.map((id) => api.end(id))).then((jobs) => {
      over = true;
      return jobs;
    });
    const keepAlive = async () => {
      while (!over) {
        const worker = await startPoisoned(rig, at);
        onTestFinished(async () => void (await worker.stop()));
        if ((await Promise.race([worker.exited, ended])) === 'SIGKILL') crashes++;
      }
    };
    await Promise.all([keepAlive(), keepAlive()]);
    const jobs = await ended;
    row.jobs = jobs.length;
    row.recovery = (performance.now() - started) / 1000;
    const failed = jobs.flatMap(({ status, error }, n) => (status === 'completed' ? [] : [{ n, code: error?.code }]));
    row.lost = failed.filter(({ n }) => n !== POISON).length;
    row.duplicated = [...rig.endings.values()].filter((count) => count > 1).length;
    row.note = `${crashes} crashes`;
    expect(failed).toEqual([{ n: POISON, code: 'worker_crashed' }]);
    expect(row.duplicated).toBe(0);
    expect(crashes).toBe(expected);
    expect(row.recovery).toBeLessThanOrEqual(MAX_RECOVERY_S * expected);
    expect(await countersOf(rig)).toMatchObject({ jobs: 0, tokens: 0, reserved: 0, outstanding: {} });
  });
