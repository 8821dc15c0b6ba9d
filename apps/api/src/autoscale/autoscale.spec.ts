import { ShoalError } from '@shoal/contracts';
import type { Demand } from '@shoal/queue';
import { servePrivately } from '@shoal/telemetry';
import { Registry } from 'prom-client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { digestOf } from '../http/tenant.js';
import { Autoscale } from './autoscale.js';
import { type AutoscaleAccess, autoscaleRoute } from './autoscale-route.js';

const NOW = 1_700_000_000_000;
const IDLE: Demand = {
  unfinishedJobs: 0,
  unfinishedTokens: 0,
  arrivals: null,
  now: NOW,
  replicaRate: null,
  coldStarts: [],
  speeds: [],
};
const LOCAL: AutoscaleAccess = { tokenDigest: undefined, host: '127.0.0.1' };
const GUARDED: AutoscaleAccess = { tokenDigest: digestOf('sesame'), host: '0.0.0.0' };

/** Two models on a private port: `embed` with two queues, `topic` with one. */
async function serve(demands: Readonly<Record<string, Demand | Error>>, access = LOCAL) {
  const autoscale = new Autoscale({
    store: {
      async demand(queue) {
        const demand = demands[queue] ?? IDLE;
        if (demand instanceof Error) throw demand;
        return demand;
      },
    },
    queues: () =>
      new Map([
        ['embed', ['embed.2.fp32.0', 'embed.1.fp32.0']],
        ['topic', ['topic.1.fp32.0']],
      ]),
    delayObjectiveSeconds: 60,
  });
  const route = autoscaleRoute(autoscale, access);
  const server = await servePrivately(new Registry(), () => true, '127.0.0.1', 0, route);
  onTestFinished(() => server.close());
  return async (model: string, authorization?: string) => {
    const headers = authorization === undefined ? {} : { authorization };
    const response = await fetch(`http://127.0.0.1:${server.port}/internal/autoscale/${model}`, { headers });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
}

describe('GET /internal/autoscale/{model}', () => {
  test('answers with the number and what it is made of', async () => {
    const ask = await serve({
      'topic.1.fp32.0': {
        ...IDLE,
        unfinishedJobs: 3,
        unfinishedTokens: 39_000,
        arrivals: { rate: 1500, at: NOW },
        replicaRate: 1000,
        coldStarts: [12.5],
      },
    });
    expect(await ask('topic')).toEqual({
      status: 200,
      // 1500 ÷ (1000 × 0.75) + 39000 ÷ (1000 × 39)
      body: {
        model: 'topic',
        replicas_needed: 3,
        useful_replicas: null,
        queued_tokens: 39_000,
        arrival_tokens_per_second: 1500,
        replica_tokens_per_second: 1000,
        target_seconds: 39,
        cold_start_seconds: 12.5,
      },
    });
  });

  test('adds up the queues of a model: two versions during an upgrade', async () => {
    const ask = await serve({
      'embed.1.fp32.0': { ...IDLE, unfinishedJobs: 1, unfinishedTokens: 39_000, replicaRate: 1000, coldStarts: [5] },
      'embed.2.fp32.0': { ...IDLE, arrivals: { rate: 750, at: NOW }, replicaRate: 500, coldStarts: [50] },
    });
    expect((await ask('embed')).body).toEqual({
      model: 'embed',
      replicas_needed: 3,
      useful_replicas: null,
      queued_tokens: 39_000,
      arrival_tokens_per_second: 750,
      replica_tokens_per_second: 750,
      target_seconds: 50,
      cold_start_seconds: 50,
    });
  });

  test('asks for no more replicas than are of use, and says how many that are', async () => {
    const trial = { fromReplicas: 2, fromRate: 1000, toRate: 500, at: NOW };
    const ask = await serve({
      'topic.1.fp32.0': {
        ...IDLE,
        arrivals: { rate: 7500, at: NOW },
        replicaRate: 500,
        speeds: [{ replicas: 4, rate: 500, at: NOW, trial }],
      },
    });
    expect((await ask('topic')).body).toMatchObject({ replicas_needed: 2, useful_replicas: 2 });
  });

  test('fades what arrived until the time of reading, and is 0 after a minute without anything', async () => {
    const since = (seconds: number) => ({
      'topic.1.fp32.0': { ...IDLE, arrivals: { rate: 7500, at: NOW - seconds * 1000 }, replicaRate: 1000 },
    });
    const soon = await (await serve(since(30)))('topic');
    expect(soon.body.replicas_needed).toBeCloseTo(10 * Math.exp(-0.5), 2);
    expect((await (await serve(since(60)))('topic')).body.replicas_needed).toBe(0);
  });

  test('asks for one replica where the speed is not known, and for none where nothing is to be done', async () => {
    const ask = await serve({ 'topic.1.fp32.0': { ...IDLE, unfinishedJobs: 1, unfinishedTokens: 5 } });
    expect((await ask('topic')).body).toMatchObject({ replicas_needed: 1, replica_tokens_per_second: null });
    expect((await ask('embed')).body).toMatchObject({ replicas_needed: 0 });
  });

  test('is 503 while Redis is away, never an old number', async () => {
    const ask = await serve({
      'embed.1.fp32.0': new ShoalError('redis_unavailable', 'away'),
      'embed.2.fp32.0': { ...IDLE, unfinishedJobs: 1, unfinishedTokens: 5 },
    });
    expect(await ask('embed')).toMatchObject({ status: 503, body: { code: 'redis_unavailable' } });
    expect((await ask('topic')).status).toBe(200);
  });

  test('is 404 for a model that is not served', async () => {
    const ask = await serve({});
    for (const model of ['none', '', '%zz', 'topic/x', '__proto__']) {
      expect(await ask(model), model).toMatchObject({ status: 404, body: { code: 'model_not_found' } });
    }
  });
});

describe('the token', () => {
  test('opens it, and nothing else does', async () => {
    const ask = await serve({}, GUARDED);
    expect((await ask('topic', 'Bearer sesame')).status).toBe(200);
    for (const wrong of [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      'Bearer sesam',
      'Bearer sesame2',
      'Basic sesame',
      'sesame',
    ]) {
      expect(await ask('topic', wrong), wrong).toMatchObject({ status: 401, body: { code: 'unauthorized' } });
    }
  });

  test('is asked for before it is told which models there are', async () => {
    const ask = await serve({}, GUARDED);
    expect((await ask('none')).status).toBe(401);
  });

  test('is needed on this machine too, once it is set', async () => {
    const ask = await serve({}, { ...GUARDED, host: '127.0.0.1' });
    expect((await ask('topic')).status).toBe(401);
  });

  test('that is not set closes it to other machines, and the answer names the variable', async () => {
    const ask = await serve({}, { ...LOCAL, host: '0.0.0.0' });
    const { status, body } = await ask('topic', 'Bearer sesame');
    expect([status, body.code]).toEqual([403, 'token_not_set']);
    expect(body.detail).toContain('SHOAL_AUTOSCALE_TOKEN');
  });
});
