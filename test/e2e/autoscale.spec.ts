/** The autoscaling number of real processes: from nothing over the first job to a worker that has told of itself. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobView } from '@shoal/contracts';
import { startRedis } from '@shoal/tools/redis';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Running, startApi, startWorker } from '../support/processes.js';

const MODEL = 'wordnet-topic';
const TOKEN = 'sesame';

const dir = mkdtempSync(join(tmpdir(), 'shoal-e2e-'));
let redis: Awaited<ReturnType<typeof startRedis>>;

beforeAll(async () => {
  redis = await startRedis({ dir });
});
afterAll(async () => {
  await redis.stop();
  rmSync(dir, { recursive: true });
});

type Answer = Readonly<Record<string, unknown>>;

async function ask(api: Running, model = MODEL, authorization = `Bearer ${TOKEN}`): Promise<Answer> {
  const url = new URL(`/internal/autoscale/${model}`, api.metricsUrl);
  const response = await fetch(url, { headers: { authorization } });
  return { ...((await response.json()) as Answer), status: response.status };
}

test('a model goes from 0 to 1 with its first job, and its worker tells its speed and its start', async () => {
  const api = await startApi({
    redisUrl: redis.url,
    env: { SHOAL_AUTOSCALE_TOKEN: TOKEN, SHOAL_DELAY_OBJECTIVE: '1m' },
  });
  onTestFinished(async () => void (await api.stop()));
  expect(await ask(api)).toMatchObject({ status: 200, replicas_needed: 0, target_seconds: 39, cold_start_seconds: 20 });
  const body = JSON.stringify({ model: MODEL, input: 'a small knob' });
  const headers = { 'content-type': 'application/json' };
  const job = (await (await fetch(`${api.url}/v1/jobs`, { method: 'POST', body, headers })).json()) as JobView;
  expect(await ask(api)).toMatchObject({ replicas_needed: 1, replica_tokens_per_second: null });

  const worker = await startWorker({ redisUrl: redis.url, env: { SHOAL_MODELS: MODEL } });
  await fetch(`${api.url}${job.links.self}?wait=60`);
  expect(await worker.stop()).toBe('exit code 0');
  const after = await ask(api);
  expect(after).toMatchObject({ status: 200, model: MODEL, queued_tokens: 0 });
  expect(after.replicas_needed).toBeGreaterThan(0);
  expect(after.replica_tokens_per_second).toBeGreaterThan(0);
  expect(after.cold_start_seconds).not.toBe(20);
  const metrics = await (await fetch(api.metricsUrl)).text();
  expect(metrics).toMatch(/^shoal_autoscale_replicas_needed\{queue="wordnet-topic\.1\.fp32\.0"\} 0\.\d+$/m);
  expect(metrics).toMatch(/^shoal_autoscale_replica_tokens_per_second\{queue="wordnet-topic\.1\.fp32\.0"\} [\d.]+$/m);

  expect(await ask(api, MODEL, '')).toMatchObject({ status: 401, code: 'unauthorized' });
  expect(await ask(api, 'none')).toMatchObject({ status: 404, code: 'model_not_found' });
  expect((await fetch(`${api.url}/internal/autoscale/${MODEL}`)).status).toBe(404);
});

test('without a token, an API that other machines reach keeps it to itself', async () => {
  const api = await startApi({ redisUrl: redis.url, env: { SHOAL_METRICS_HOST: '0.0.0.0' } });
  onTestFinished(async () => void (await api.stop()));
  const local = { ...api, metricsUrl: api.metricsUrl.replace('0.0.0.0', '127.0.0.1') };
  expect(await ask(local, MODEL, '')).toMatchObject({ status: 403, code: 'token_not_set' });
  expect((await fetch(local.metricsUrl)).status).toBe(200);
});
