/** Pipelined requests (RFC 9112, section 9.3.2): their answers wait for the socket until those before them are sent. */
import type { FastifyInstance } from 'fastify';

/** Tells the waiting answers of their connection's end: Node emits `close` only on the one that has the socket. */
export function endQueuedAnswers(server: FastifyInstance): void {
  server.addHook('onRequest', ({ raw: { socket } }, { raw: answer }, done) => {
    if (answer.socket === null) {
      const end = () => {
        if (answer.socket === null) answer.emit('close');
      };
      // One for each request of the pipeline, so Node's warning of a leak would be wrong.
      socket.setMaxListeners(0).once('close', end);
      answer.once('close', () => socket.off('close', end));
    }
    done();
  });
}
