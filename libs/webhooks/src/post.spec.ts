/** Receivers that do anything but answer: every attempt settles, and says of what. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import type { Destination } from './destination.js';
import { type Answer, MAX_ANSWER_BYTES, post } from './post.js';

/** Says what a socket is to do once it has got a request. */
type Behaviour = (socket: Socket) => void;

const OK = 'HTTP/1.1 200 OK\r\n';

/** `first`, and more whenever it is taken. */
function writeAndFlood(socket: Socket, first: string, more: string): void {
  socket.write(first);
  flood(socket, more);
}

/** Every now and then until the socket is gone. */
function repeat(socket: Socket, text: () => string): void {
  const timer = setInterval(() => socket.write(text()), 5);
  socket.once('close', () => clearInterval(timer));
}

/** As fast as the other side takes it. */
function flood(socket: Socket, text: string): void {
  const more = () => {
    while (socket.writable && socket.write(text));
    socket.once('drain', more);
  };
  more();
}

/** `first`, then letters for ever. */
function headerAfter(first: string): () => string {
  let text = first;
  return () => {
    const now = text;
    text = 'b';
    return now;
  };
}

async function listen(behaviour: Behaviour): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => behaviour(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

function attempt(url: string, timeoutMs: number): Promise<Answer> {
  const parsed = new URL(url);
  const destination: Destination = { url: parsed, host: parsed.hostname, port: Number(parsed.port), literal: true };
  const signal = AbortSignal.timeout(timeoutMs);
  return post({ destination, addresses: ['127.0.0.1'], headers: {}, body: Buffer.from('{}'), signal, clock: Date.now });
}

const SOON = 100;
const LATE = 60_000;

/** What the receiver does, within what time the attempt is to be settled, and what it is told as. */
const CASES: readonly [name: string, behaviour: Behaviour, timeoutMs: number, answer: object][] = [
  ['nothing', () => undefined, SOON, { error: 'timeout', reason: expect.stringContaining('connected') }],
  [
    'switches the protocol',
    (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
    LATE,
    { status: 101, error: null },
  ],
  [
    'switches it without a word to what',
    (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
    LATE,
    { status: 101, error: null },
  ],
  ['never ends its headers', (socket) => repeat(socket, () => 'x'), SOON, { status: null }],
  ['a header that never ends', (socket) => repeat(socket, headerAfter(`${OK}a: `)), SOON, { error: 'timeout' }],
  [
    'a byte now and then',
    (socket) => {
      const bytes = [...`${OK}content-length: 10\r\n\r\nab`];
      repeat(socket, () => bytes.shift() ?? '');
    },
    2000,
    { status: 200, error: null },
  ],
  [
    'headers without end',
    (socket) => flood(socket, `${OK}${'a: b\r\n'.repeat(9000)}`),
    LATE,
    { error: 'connection_failed', reason: 'the headers of the answer are too large' },
  ],
  ['1xx now and then', (socket) => repeat(socket, () => 'HTTP/1.1 102 Processing\r\n\r\n'), SOON, { error: 'timeout' }],
  [
    '1xx without end',
    (socket) => flood(socket, 'HTTP/1.1 103 Early Hints\r\n\r\n'),
    LATE,
    { error: 'connection_failed', reason: expect.stringContaining('before') },
  ],
  [
    'no HTTP',
    (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
    LATE,
    { error: 'connection_failed', reason: expect.stringContaining('not HTTP') },
  ],
  ['closes', (socket) => socket.end(), LATE, { error: 'connection_failed', reason: expect.any(String) }],
  ['resets', (socket) => socket.resetAndDestroy(), LATE, { error: 'connection_failed', reason: 'connection reset' }],
  [
    'resets after headers',
    (socket) => socket.write(`${OK}content-length: 9\r\n\r\n`, () => socket.resetAndDestroy()),
    LATE,
    { status: 200, body: '' },
  ],
  [
    'closes in the middle of a body',
    (socket) => socket.end(`${OK}content-length: 9\r\n\r\nabc`),
    LATE,
    { status: 200, body: 'abc' },
  ],
  [
    'chunks that are none',
    (socket) => socket.write(`${OK}transfer-encoding: chunked\r\n\r\nzzz\r\n`),
    LATE,
    { status: 200, body: '' },
  ],
  [
    'a chunk extension without end',
    (socket) => writeAndFlood(socket, `${OK}transfer-encoding: chunked\r\n\r\n1;`, 'x'.repeat(1000)),
    LATE,
    { status: 200, body: '' },
  ],
  [
    'a body without end',
    (socket) => writeAndFlood(socket, `${OK}\r\n`, 'x'.repeat(1000)),
    LATE,
    { status: 200, body: 'x'.repeat(MAX_ANSWER_BYTES) },
  ],
  ['HTTP/1.0', (socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nold'), LATE, { status: 200, body: 'old' }],
  [
    'a redirect',
    (socket) => socket.end('HTTP/1.1 302 Found\r\nlocation: /a\r\ncontent-length: 0\r\n\r\n'),
    LATE,
    { status: 302 },
  ],
  ['a body where there is none', (socket) => socket.write('HTTP/1.1 204 No Content\r\n\r\nabc'), LATE, { status: 204 }],
  [
    'two lengths',
    (socket) => socket.write(`${OK}content-length: 1\r\ncontent-length: 2\r\n\r\nab`),
    LATE,
    { error: 'connection_failed' },
  ],
];

test.each(CASES)('a receiver that does this is settled: %s', async (_, behaviour, timeoutMs, answer) => {
  const closed: Promise<unknown>[] = [];
  const port = await listen((socket) => {
    closed.push(new Promise((resolve) => socket.once('close', resolve)));
    behaviour(socket);
  });
  expect(await attempt(`http://127.0.0.1:${port}/`, timeoutMs)).toMatchObject(answer);
  // The connection is not left behind.
  await Promise.all(closed);
});

test('TLS that never gets anywhere is a time-out, and what is no TLS is told as such', async () => {
  const silent = await listen(() => undefined);
  expect(await attempt(`https://127.0.0.1:${silent}/`, SOON)).toMatchObject({ error: 'timeout' });
  const plain = await listen((socket) => socket.end(`${OK}\r\n`));
  const answer = await attempt(`https://127.0.0.1:${plain}/`, LATE);
  expect([answer.error, answer.reason]).toEqual(['connection_failed', expect.stringContaining('TLS')]);
});

test('a certificate that nobody vouches for is told as such', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-cert-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=x'];
  execFileSync('openssl', [...args, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }).listen(0, '127.0.0.1');
  server.on('tlsClientError', () => undefined);
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  expect(await attempt(`https://127.0.0.1:${port}/`, LATE)).toMatchObject({
    error: 'connection_failed',
    reason: 'TLS failed: the certificate is self-signed',
  });
});
