/** Liveness, readiness and metrics of this process on a private port. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface PrivateServer {
  readonly port: number;
  close(): Promise<void>;
}

/** `ready` is asked at each probe. Rejects where the port is taken. */
export async function servePrivately(
  registry: Registry,
  ready: () => boolean,
  host: string,
  port: number,
): Promise<PrivateServer> {
  const server = createServer((request, response) => {
    const answer = (status: number, text: string, type = 'text/plain') =>
      response.writeHead(status, { 'content-type': type }).end(text);
    const path = request.url?.split('?')[0];
    if (path === '/healthz') answer(200, 'ok\n');
    else if (path === '/readyz') answer(ready() ? 200 : 503, ready() ? 'ready\n' : 'not ready\n');
    else if (path === '/metrics') {
      registry.metrics().then(
        (text) => answer(200, text, registry.contentType),
        () => answer(500, 'the metrics could not be read\n'),
      );
    } else answer(404, 'not found\n');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
