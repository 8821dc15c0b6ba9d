/** A Redis server of one test's own, where the test disturbs or limits it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRedis } from '@shoal/tools/redis';
import { onTestFinished } from 'vitest';

/** Its URL; the server ends with the test. `settings` are directives of redis.conf. */
export async function startOwnRedis(settings: Record<string, string> = {}): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-redis-'));
  const server = await startRedis({ dir, settings });
  onTestFinished(async () => {
    await server.stop();
    rmSync(dir, { recursive: true });
  });
  return server.url;
}
