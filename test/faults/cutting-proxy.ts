/** A way to Redis that ends when something certain is about to be sent. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface CuttingProxy {
  readonly url: string;
  /** Resolves when a client was about to send `marker`: that and all that follows, on any connection, is not sent. */
  readonly cut: Promise<void>;
}

export async function startCuttingProxy(redisUrl: string, marker: string): Promise<CuttingProxy> {
  const { hostname, port } = new URL(redisUrl);
  const sockets: Socket[] = [];
  let cut = false;
  let tell = () => {};
  const told = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    sockets.push(client, upstream);
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    upstream.pipe(client);
    client.on('close', () => upstream.destroy());
    client.on('data', (bytes) => {
      if (bytes.includes(marker)) {
        cut = true;
        tell();
      }
      if (!cut) upstream.write(bytes);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`, cut: told };
}
