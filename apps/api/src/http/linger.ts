/**
 * What is still coming after a request was answered early (401, 413, 429) is read and thrown away for a while. A socket
 * that is closed with unread input sends a reset, which overtakes the answer: clients that send before they read would
 * see a broken connection instead of it (RFC 9112, section 9.6; nginx calls it lingering close).
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** How long, and how many bytes. */
const LINGER_MS = 10_000;
const LINGER_BYTES = 64 * 1024 * 1024;
const LOOK_MS = 100;

export function lingerAfterEarlyAnswers(server: FastifyInstance): void {
  server.addHook('onRequest', ({ raw }, reply, done) => {
    if (!hasBody(raw)) return done();
    const { socket } = raw;
    const close = socket.destroySoon;
    // Where the connection ends with this answer, Node calls it as soon as the answer is written.
    socket.destroySoon = () => {
      if (raw.complete) close.call(socket);
      else socket.end();
    };
    raw.once('close', () => {
      socket.destroySoon = close;
      // The answer has ended the connection, and now its last request has been read.
      if (socket.writableEnded) socket.destroySoon();
    });
    reply.raw.once('finish', () => {
      if (!raw.complete) throwAway(raw, socket);
    });
    done();
  });
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Ends the connection where the body goes on for too long. */
function throwAway(raw: IncomingMessage, socket: Socket): void {
  raw.resume();
  const before = socket.bytesRead;
  const until = performance.now() + LINGER_MS;
  const timer = setInterval(() => {
    if (performance.now() > until || socket.bytesRead - before > LINGER_BYTES) socket.destroy();
  }, LOOK_MS);
  raw.once('close', () => clearInterval(timer));
}
