import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { openNamedServer, openPatient, type RedisClient } from './redis.js';

/** A URL of a port that nothing listens on. */
async function nowhere(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return `redis://127.0.0.1:${port}`;
}

/** Unlike `once` of node:events, whatever errors come first. */
const event = (client: RedisClient, name: 'reconnecting' | 'end') =>
  new Promise((resolve) => client.once(name, resolve));

test.each([false, true])(
  'a client that is closed between two attempts to connect ends, and so do its commands (cluster: %s)',
  async (redisCluster) => {
    const client = openPatient({ redisUrl: await nowhere(), redisCluster }, () => undefined);
    const answer = client.get('key').catch((error: Error) => error.message);
    await event(client, 'reconnecting');
    const ended = event(client, 'end');
    client.disconnect();
    await ended;
    expect(await answer).toBeTypeOf('string');
  },
);

test('what BullMQ makes of it for blocking ends as well', async () => {
  const client = openNamedServer({ redisUrl: await nowhere() }, () => undefined);
  const blocking = client.duplicate();
  blocking.on('error', () => undefined);
  await event(blocking, 'reconnecting');
  const ended = event(blocking, 'end');
  blocking.disconnect();
  await ended;
  client.disconnect();
});
