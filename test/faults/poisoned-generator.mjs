// @ts-check
/**
 * A worker process as it is, except that a text whose prompt has the token SHOAL_POISON ends it, as a fault in native code would:
 * at its start, or at the token of its answer with the number SHOAL_POISON_AT.
 */
import { GenerationEngine } from '@shoal/generation';

const poison = Number(process.env.SHOAL_POISON);
const at = Number(process.env.SHOAL_POISON_AT);
const { start } = GenerationEngine.prototype;

/** @type {typeof start} */
GenerationEngine.prototype.start = function poisoned(request, listener) {
  if (!request.prompt.includes(poison)) return start.call(this, request, listener);
  let made = request.emitted.length;
  const die = () => process.kill(process.pid, 'SIGKILL');
  if (at === 0) die();
  start.call(this, request, {
    ...listener,
    tokens(tokens) {
      made += tokens.length;
      if (made >= at) die();
      listener.tokens(tokens);
    },
  });
};

await import('../../apps/worker/dist/main.js');
