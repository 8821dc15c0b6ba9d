import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { AllowList } from '@shoal/network';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, test } from 'vitest';
import { MAX_ANSWER_BYTES } from './post.js';
import { type Outgoing, outcomeOf, type Sender, send } from './send.js';
import { newSecret } from './signature.js';

const SECRET = newSecret();
const BODY = Buffer.from('{"type":"job.completed"}');

const servers: { close(): unknown }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A receiver on loopback; `requests` has what came. */
async function receive(answer: RequestListener) {
  const requests: { request: IncomingMessage; body: string }[] = [];
  const server: Server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    requests.push({ request, body });
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  servers.push({ close: () => server.close().closeAllConnections() });
  await once(server, 'listening');
  return { requests, port: (server.address() as AddressInfo).port };
}

function outgoing(url: string): Outgoing {
  return { url, id: 'msg_1', body: BODY, secrets: [SECRET] };
}

function sender(port: number, changes: Partial<Sender> = {}): Sender {
  return {
    resolve: async () => ['127.0.0.1'],
    allow: new AllowList([`127.0.0.0/8:${port}`]),
    timeoutMs: 10_000,
    clock: Date.now,
    ...changes,
  };
}

test('posts a body that standardwebhooks verifies, under the name of the URL, on a connection of its own', async () => {
  const { requests, port } = await receive((_, response) => response.end('thanks'));
  const answer = await send(outgoing(`http://hooks.example.com:${port}/in?a=1`), sender(port));
  expect(answer).toEqual({ status: 200, error: null, reason: null, retryAfterMs: null, body: 'thanks' });
  const { request, body } = requests[0]!;
  expect([request.method, request.url, request.headers.host]).toEqual(['POST', '/in?a=1', `hooks.example.com:${port}`]);
  expect(request.headers.connection).toBe('close');
  expect(new Webhook(SECRET).verify(body, request.headers as Record<string, string>)).toEqual({
    type: 'job.completed',
  });
});

test('redirects are answers, and are not followed', async () => {
  const { requests, port } = await receive((_, response) => {
    response.writeHead(307, { location: `http://127.0.0.1:${port}/secret` }).end();
  });
  const answer = await send(outgoing(`http://127.0.0.1:${port}/`), sender(port));
  expect([answer.status, outcomeOf(answer), requests.length]).toEqual([307, 'failed', 1]);
});

test('no more of an answer is read than is kept', async () => {
  const { port } = await receive((_, response) => {
    const more = () => {
      while (response.write('x'.repeat(10_000)));
      response.once('drain', more);
    };
    more();
  });
  const { status, body } = await send(outgoing(`http://127.0.0.1:${port}/`), sender(port));
  expect([status, body.length]).toEqual([200, MAX_ANSWER_BYTES]);
});

test('an attempt that takes too long is a time-out', async () => {
  const { port } = await receive(() => undefined);
  const answer = await send(outgoing(`http://127.0.0.1:${port}/`), sender(port, { timeoutMs: 50 }));
  expect(answer).toMatchObject({ status: null, error: 'timeout' });
  expect(outcomeOf(answer)).toBe('throttled');
});

test('a name server that hangs is a time-out too', async () => {
  const slow = sender(443, { resolve: () => new Promise(() => {}), timeoutMs: 50 });
  expect(await send(outgoing('https://hooks.example.com/'), slow)).toMatchObject({ error: 'timeout' });
});

test('a status counts although its body never ends', async () => {
  const { port } = await receive((_, response) => void response.write('started'));
  const answer = await send(outgoing(`http://127.0.0.1:${port}/`), sender(port, { timeoutMs: 100 }));
  expect(answer).toMatchObject({ status: 200, body: 'started' });
});

test('a connection that is refused or dropped is no answer', async () => {
  const { port } = await receive((request) => void request.socket.destroy());
  const answer = await send(outgoing(`http://127.0.0.1:${port}/`), sender(port));
  expect(answer).toMatchObject({ status: null, error: 'connection_failed' });
  expect(outcomeOf(answer)).toBe('failed');
});

test('https names the host of the URL in its greeting, whatever the address', async () => {
  let greeting = '';
  const server = createTcpServer((socket) => {
    socket.once('data', (bytes) => {
      greeting = bytes.toString('latin1');
      socket.destroy();
    });
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const answer = await send(outgoing(`https://hooks.example.com:${port}/`), sender(port));
  expect(answer.error).toBe('connection_failed');
  expect(greeting).toContain('hooks.example.com');
});

test('Retry-After is told', async () => {
  const { port } = await receive((_, response) => void response.writeHead(429, { 'retry-after': '7' }).end());
  const answer = await send(outgoing(`http://127.0.0.1:${port}/`), sender(port));
  expect([answer.status, answer.retryAfterMs, outcomeOf(answer)]).toEqual([429, 7000, 'throttled']);
});

describe('without a connection', () => {
  /** A listener that must not be reached. */
  async function trap() {
    let connections = 0;
    const server = createTcpServer(() => {
      connections += 1;
    }).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    return { port: (server.address() as AddressInfo).port, connections: () => connections };
  }

  test('a name that turned to a private address is refused', async () => {
    const { port, connections } = await trap();
    // The first answer, at registration, was public.
    const answers = [['1.1.1.1'], ['127.0.0.1']];
    const rebinding = sender(port, { allow: new AllowList([`1.1.1.0/24:${port}`]), resolve: async () => answers[1]! });
    const answer = await send(outgoing(`https://rebind.example.com:${port}/`), rebinding);
    expect(answer).toMatchObject({ status: null, error: 'destination_not_allowed' });
    expect(answer.reason).not.toMatch(/\d/);
    expect(connections()).toBe(0);
  });

  test('a name that turns between the check and the connection does not matter: it is asked once', async () => {
    const { port, connections } = await trap();
    const answers = [['127.0.0.2'], ['127.0.0.1']];
    const asked: string[] = [];
    const rebinding = sender(port, {
      allow: new AllowList([`127.0.0.2/32:${port}`]),
      resolve: async (host) => {
        asked.push(host);
        return answers[asked.length - 1] ?? [];
      },
    });
    const answer = await send(outgoing(`http://rebind.example.com:${port}/`), rebinding);
    expect(answer.error).toBe('connection_failed');
    expect([asked.length, connections()]).toEqual([1, 0]);
  });

  test('DNS that does not answer is told as such', async () => {
    const down = sender(443, { resolve: () => Promise.reject(new Error('ESERVFAIL')) });
    expect(await send(outgoing('https://hooks.example.com/'), down)).toMatchObject({ error: 'dns_failed' });
  });

  test('nothing goes out that nothing signs', async () => {
    const { port, connections } = await trap();
    const unsigned = { ...outgoing(`http://127.0.0.1:${port}/`), secrets: [] };
    expect(await send(unsigned, sender(port))).toMatchObject({ status: null, error: 'no_secret' });
    expect(connections()).toBe(0);
  });
});
