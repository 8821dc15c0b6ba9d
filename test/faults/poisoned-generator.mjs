// @ts-check
/**
 * A worker process as it is, except that a text whose prompt has the token SHOAL_POISON ends it at its start, as a fault in
 * native code would.
 */
import { GenerationEngine } from '@shoal/generation';

const poison = Number(process.env.SHOAL_POISON);
const { start } = GenerationEngine.prototype;

/** @type {typeof start} */
GenerationEngine.prototype.start = function poisoned(request, listener) {
  if (request.prompt.includes(poison)) process.kill(process.pid, 'SIGKILL');
  start.call(this, request, listener);
};

await import('../../apps/worker/dist/main.js');
