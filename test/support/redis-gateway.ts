/**
 * A way to Redis that fails as networks do: connections that fall silent without being closed, and a name that leads to
 * another server from some moment on, while connections that were opened before stay where they are.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** What a connection is for, by what was sent on it. */
export type Kind = 'commands' | 'subscriber' | 'blocking';

interface Line {
  kind: Kind;
  silent: boolean;
  readonly client: Socket;
  readonly upstream: Socket;
}

export interface RedisGateway {
  /** As the given one, by way of this. */
  readonly url: string;
  /** From now on nothing is heard any more on the connections there are, of one kind or of all; how many these are. */
  silence(kind?: Kind): number;
  /** Closes the connections there are; how many these were. */
  cut(): number;
  /** True: new connections come about and fall silent at once. */
  swallow(on: boolean): void;
  /** New connections lead to this server. */
  lead(redisUrl: string): void;
  /** How many are open and heard. */
  open(): number;
}

export async function startRedisGateway(redisUrl: string): Promise<RedisGateway> {
  const lines = new Set<Line>();
  let target = new URL(redisUrl);
  let swallowing = false;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    const line: Line = { kind: 'commands', silent: swallowing, client, upstream };
    lines.add(line);
    client.on('data', (bytes) => {
      // As whole words of the protocol: arguments may hold anything.
      if (bytes.includes('\r\nbzpopmin\r\n')) line.kind = 'blocking';
      else if (bytes.includes('\r\nsubscribe\r\n')) line.kind = 'subscriber';
      if (!line.silent) upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (!line.silent) client.write(bytes);
    });
    const end = (other: Socket) => () => {
      // Who is gone without a word says nothing of it either.
      if (!line.silent || other === upstream) other.destroy();
      if (client.destroyed) lines.delete(line);
    };
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    client.on('close', end(upstream));
    upstream.on('close', end(client));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const { client, upstream } of lines) for (const socket of [client, upstream]) socket.destroy();
  });
  const url = new URL(redisUrl);
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    silence(kind) {
      const chosen = [...lines].filter((line) => !line.silent && (kind === undefined || line.kind === kind));
      for (const line of chosen) line.silent = true;
      return chosen.length;
    },
    cut() {
      const cut = [...lines];
      for (const { client, upstream } of cut) for (const socket of [client, upstream]) socket.destroy();
      lines.clear();
      return cut.length;
    },
    swallow(on) {
      swallowing = on;
    },
    lead(next) {
      target = new URL(next);
    },
    open: () => [...lines].filter(({ silent }) => !silent).length,
  };
}
