/** A Redis server of one test's own that outlives crashes: it appends every change to a file and starts again in place. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRedis } from '@shoal/tools/redis';
import { onTestFinished } from 'vitest';

export interface LastingRedis {
  readonly url: string;
  pid(): number;
  /** SIGKILL; resolves when the process has ended. */
  crash(): Promise<void>;
  /** A new process with the same port and files; resolves when it answers. */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing is answered, until `thaw`. */
  freeze(): void;
  thaw(): void;
}

/** The server ends with the test. `settings` are directives of redis.conf. */
export async function startLastingRedis(settings: Record<string, string> = {}): Promise<LastingRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-redis-'));
  let server = await startRedis({ dir, persist: true, settings });
  const { url, port } = server;
  let alive = true;
  onTestFinished(async () => {
    // A frozen process would not hear SIGTERM.
    if (alive) process.kill(server.pid, 'SIGCONT');
    await server.stop();
    rmSync(dir, { recursive: true });
  });
  return {
    url,
    pid: () => server.pid,
    async crash() {
      process.kill(server.pid, 'SIGKILL');
      alive = false;
      await server.stop();
    },
    async restart() {
      server = await startRedis({ dir, persist: true, settings, port });
      alive = true;
    },
    freeze: () => void process.kill(server.pid, 'SIGSTOP'),
    thaw: () => void process.kill(server.pid, 'SIGCONT'),
  };
}
