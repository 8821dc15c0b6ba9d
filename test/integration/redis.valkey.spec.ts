import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitForRedis } from '@shoal/queue';
import { findProgram } from '@shoal/tools/apt';
import { startRedis } from '@shoal/tools/redis';
import { expect, onTestFinished, test } from 'vitest';
import { startReceiver } from '../support/receiver.js';
import { openWebhookBench } from '../support/webhook-bench.js';
import { liveAsJobs, liveAsWebhooks } from '../support/whole-life.js';

const program = findProgram('valkey-server', process.env.PATH ?? '');

test.skipIf(!program)('all that Shoal does works on Valkey, where it is installed', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-valkey-'));
  const { url: redisUrl, stop } = await startRedis({ dir, program: program! });
  onTestFinished(async () => {
    await stop();
    rmSync(dir, { recursive: true });
  });
  const warnings: Error[] = [];
  await waitForRedis({ redisUrl }, { role: 'api', onWarning: (warning) => void warnings.push(warning) });
  expect(warnings).toEqual([]);
  const receiver = await startReceiver();
  const bench = await openWebhookBench([`127.0.0.0/8:${receiver.port}`], { redisUrl });
  await liveAsJobs(bench);
  await liveAsWebhooks(bench, receiver);
});
