/** A receiver of webhooks on loopback that keeps what came and answers as the test says. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JobView } from '@shoal/contracts';
import { Webhook } from 'standardwebhooks';
import { onTestFinished } from 'vitest';

export interface Received {
  readonly id: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly event: {
    readonly type: string;
    readonly timestamp: string;
    readonly data: JobView & { readonly sequence: number; readonly thin?: true };
  };
}

export type Answer = (received: Received, response: ServerResponse, request: IncomingMessage) => void;

export const ok: Answer = (_, response) => void response.end();
export const withStatus =
  (status: number, headers: Record<string, string> = {}): Answer =>
  (_, response) =>
    void response.writeHead(status, headers).end(`answer ${status}`);

/** Answers each request after `ms`; `most()` is how many were open at once at the most. */
export function slowly(ms: number): { readonly answer: Answer; most(): number } {
  let open = 0;
  let most = 0;
  return {
    answer: (_, response) => {
      most = Math.max(most, ++open);
      setTimeout(() => {
        open--;
        response.end();
      }, ms);
    },
    most: () => most,
  };
}

export interface Receiver {
  readonly url: string;
  readonly port: number;
  readonly received: readonly Received[];
  /** How later requests are answered. */
  answer: Answer;
  /** Resolves once `count` requests have come in all. */
  until(count: number): Promise<void>;
}

export async function startReceiver(answer: Answer = ok): Promise<Receiver> {
  const received: Received[] = [];
  let wake = () => {};
  const server = createServer(async (request, response) => {
    let body = '';
    try {
      for await (const chunk of request.setEncoding('utf8')) body += chunk;
    } catch {
      return;
    }
    const headers = request.headers as Record<string, string>;
    const entry: Received = {
      id: String(headers['webhook-id']),
      path: request.url ?? '',
      headers,
      body,
      event: JSON.parse(body) as Received['event'],
    };
    received.push(entry);
    wake();
    receiver.answer(entry, response, request);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}`,
    port,
    received,
    answer,
    async until(count) {
      while (received.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
  return receiver;
}

/** True where standardwebhooks takes the signature for one of this secret. */
export function verifies({ body, headers }: Received, secret: string): boolean {
  try {
    new Webhook(secret).verify(body, { ...headers });
    return true;
  } catch {
    return false;
  }
}
