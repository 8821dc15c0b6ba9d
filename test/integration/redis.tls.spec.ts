import { type CheckOptions, openJobStore, waitForRedis } from '@shoal/queue';
import { freePort } from '@shoal/tools/ports';
import { pingRedis } from '@shoal/tools/redis-ping';
import { describe, expect, onTestFinished, test } from 'vitest';
import { makeCertificates } from '../support/certificates.js';
import { startOwnRedis } from '../support/own-redis.js';
import { startApi, startWebhooks, startWorker } from '../support/processes.js';
import { openBench, uniqueQueue } from '../support/queue-harness.js';

/** A Redis that speaks TLS on one port and plainly on another, and the file of who signed its certificate. */
async function startTlsRedis() {
  const { ca, caFile, settings } = await makeCertificates();
  const port = await freePort();
  const plainUrl = await startOwnRedis({ ...settings, 'tls-port': String(port) });
  return { redisUrl: `rediss://127.0.0.1:${port}`, port, ca, caFile, plainUrl };
}

test('jobs run over TLS, told as they run', async () => {
  const { redisUrl, ca } = await startTlsRedis();
  const bench = await openBench({ redisUrl, redisCa: ca });
  await bench.startWorker({ limits: { maxBatchSize: 1 } });
  const id = await bench.submit([1, 2]);
  const parts: unknown[] = [];
  for await (const progress of bench.store.follow('acme', id, { parts: 0, pieces: 0 }, new AbortController().signal)) {
    parts.push(...progress.parts);
  }
  expect(parts).toHaveLength(2);
});

test('the processes take the authority from SHOAL_REDIS_CA', async () => {
  const { redisUrl, caFile } = await startTlsRedis();
  const env = { SHOAL_REDIS_CA: caFile, SHOAL_MODELS: 'wordnet-topic', SHOAL_SECRET_KEY: `${'A'.repeat(43)}=` };
  const running = await Promise.all([
    startApi({ redisUrl, env }),
    startWorker({ redisUrl, env }),
    startWebhooks({ redisUrl, env }),
  ]);
  onTestFinished(async () => {
    await Promise.all(running.map((process) => process.stop()));
  });
  const response = await fetch(`${running[0].url}/v1/jobs?wait=30`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'wordnet-topic', input: 'a small knob' }),
  });
  expect(await response.json()).toMatchObject({ status: 'completed' });
  const wrong = { ...env, SHOAL_REDIS_CA: '/nowhere/ca.pem' };
  await expect(startWorker({ redisUrl, env: wrong })).rejects.toThrow(/^SHOAL_REDIS_CA: .*ENOENT/m);
});

describe('a Redis that is not trusted, or not spoken to in its way, is unavailable, and the reason is told', () => {
  const unavailable = (reason: RegExp) => ({ code: 'redis_unavailable', message: expect.stringMatching(reason) });
  // Longer than a connection may take to come about.
  const options: CheckOptions = { role: 'api', ms: 2000, onWarning: () => undefined };

  test('signed by somebody else', async () => {
    const { redisUrl } = await startTlsRedis();
    const { ca: other } = await makeCertificates();
    const told: string[] = [];
    const opened = openJobStore({
      redisUrl,
      redisCa: other,
      queues: [uniqueQueue()],
      tenantCapTokens: 1,
      tenantMemoryShare: 1,
      queueCapTokens: 1,
      memoryBudget: 1,
      clock: Date.now,
      onError: (error) => void told.push(error.message),
    });
    await expect(opened).rejects.toMatchObject(unavailable(/certificate|signature/));
    expect(told[0]).toMatch(/certificate|signature/);
    await expect(waitForRedis({ redisUrl }, options)).rejects.toMatchObject(unavailable(/certificate/));
    await expect(pingRedis(redisUrl, { ca: other })).rejects.toThrow(/does not answer \(.*(CERT|SIGNATURE)/);
  });

  test('signed for another name', async () => {
    const { port, ca } = await startTlsRedis();
    const target = { redisUrl: `rediss://localhost:${port}`, redisCa: ca };
    await expect(waitForRedis(target, options)).rejects.toMatchObject(unavailable(/altnames/));
  });

  test('plain words to a TLS port, TLS to a plain port', async () => {
    const { port, plainUrl, ca } = await startTlsRedis();
    const redisUrl = `redis://127.0.0.1:${port}`;
    await expect(waitForRedis({ redisUrl }, options)).rejects.toMatchObject(unavailable(/write rediss:/));
    await expect(pingRedis(redisUrl)).rejects.toThrow(/does not answer/);
    // Such a server waits for the rest of what it takes for a command.
    const target = { redisUrl: plainUrl.replace('redis:', 'rediss:'), redisCa: ca };
    await expect(waitForRedis(target, options)).rejects.toMatchObject(unavailable(/ETIMEDOUT/));
  });
});

test('the command line checks a Redis with the same authority', async () => {
  const { redisUrl, ca } = await startTlsRedis();
  await pingRedis(redisUrl, { ca });
});
