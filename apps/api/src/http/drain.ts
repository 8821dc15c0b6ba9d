/** The end of the server: open requests are answered, then every connection is closed. */
import type { FastifyInstance } from 'fastify';

/**
 * A closing server closes the connections that it knows to be idle, but waits for those that clients opened ahead and
 * sent nothing on; here only open requests are waited for.
 */
export function closeWhenAnswered(server: FastifyInstance): void {
  let open = 0;
  let closing = false;
  const closeIfIdle = () => {
    // After the answer that was just finished has left.
    setImmediate(() => {
      if (closing && open === 0) server.server.closeAllConnections();
    });
  };
  server.addHook('onRequest', (_request, reply, done) => {
    open += 1;
    // Comes once for every request, also where the caller hung up; Fastify's onResponse does not.
    reply.raw.once('close', () => {
      open -= 1;
      closeIfIdle();
    });
    done();
  });
  server.addHook('preClose', (done) => {
    closing = true;
    closeIfIdle();
    done();
  });
}
