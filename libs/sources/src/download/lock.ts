/** One process at a time for a folder. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { unavailable } from '../faults.js';

/**
 * Resolves to what lets go of it. The lock is a name in Linux's abstract namespace of sockets: the kernel gives it to one, and
 * takes it back however that one ends, so nothing stale is ever left. It holds on one machine (network namespace); across
 * machines nothing is damaged either, see part-file.ts.
 *
 * @throws ShoalError `source_unavailable` where another process holds it
 */
export async function lockFolder(folder: string): Promise<() => void> {
  const name = createHash('sha256').update(folder).digest('hex');
  const server = createServer((socket) => socket.destroy());
  server.unref();
  server.listen(`\0shoal-pull-${name.slice(0, 40)}`);
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw unavailable(`${folder} is being pulled by another process: wait for its end.`, error);
  }
  return () => void server.close();
}
