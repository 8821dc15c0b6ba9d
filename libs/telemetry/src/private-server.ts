/** Liveness, readiness, metrics and what else only the machine or the cluster may ask, on a private port. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface PrivateServer {
  readonly port: number;
  close(): Promise<void>;
}

export interface PrivateAnswer {
  readonly status: number;
  readonly text: string;
  /** The media type; plain text where left out. */
  readonly type?: string;
}

/** Whether the process is to be given work, and what whoever asks should know beside: a line each. */
export interface ReadinessReport {
  readonly ready: boolean;
  readonly notes: readonly string[];
}

/** Answers a GET of its path; undefined: the path is not its own. */
export type PrivateRoute = (path: string, headers: IncomingMessage['headers']) => Promise<PrivateAnswer> | undefined;

/** `ready` is asked at each probe; `route` has what the process answers beside. Rejects where the port is taken. */
export async function servePrivately(
  registry: Registry,
  ready: () => boolean | ReadinessReport | Promise<boolean | ReadinessReport>,
  host: string,
  port: number,
  route: PrivateRoute = () => undefined,
): Promise<PrivateServer> {
  const routes: PrivateRoute = (path, headers) => {
    if (path === '/healthz') return Promise.resolve({ status: 200, text: 'ok\n' });
    if (path === '/readyz') return tellReadiness(ready);
    if (path === '/metrics') return tellMetrics(registry);
    return route(path, headers);
  };
  const server = createServer(async (request, response) => {
    const { status, text, type } = await answer(request, routes);
    response.writeHead(status, { 'content-type': type ?? 'text/plain', 'cache-control': 'no-store' }).end(text);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

async function answer({ method, url = '/', headers }: IncomingMessage, routes: PrivateRoute): Promise<PrivateAnswer> {
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, text: 'only GET is supported\n' };
  try {
    const answering = routes(url.split('?')[0]!, headers);
    return answering === undefined ? { status: 404, text: 'not found\n' } : await answering;
  } catch {
    return { status: 500, text: 'the answer could not be made\n' };
  }
}

async function tellReadiness(ask: Parameters<typeof servePrivately>[1]): Promise<PrivateAnswer> {
  const asked = await ask();
  const { ready, notes } = typeof asked === 'boolean' ? { ready: asked, notes: [] } : asked;
  const lines = [ready ? 'ready' : 'not ready', ...notes];
  return { status: ready ? 200 : 503, text: `${lines.join('\n')}\n` };
}

async function tellMetrics(registry: Registry): Promise<PrivateAnswer> {
  return { status: 200, text: await registry.metrics(), type: registry.contentType };
}
