// @ts-check
/**
 * A worker process as it is, but for what some texts do to it: it ends (as a fault in native code would) when it starts one
 * whose prompt has the token PREFILL, and when one whose prompt has the token LATE has LATE_AT tokens.
 *
 * SHOAL_POISON: JSON { prefill, late, lateAt }.
 */
import { GenerationEngine } from '@shoal/generation';

/** @type {{ prefill: number, late: number, lateAt: number }} */
const { prefill, late, lateAt } = JSON.parse(process.env.SHOAL_POISON ?? '{}');
const { start } = GenerationEngine.prototype;

/** @type {typeof start} */
GenerationEngine.prototype.start = function poisoned(request, listener) {
  if (request.prompt.includes(prefill)) process.kill(process.pid, 'SIGKILL');
  let length = request.emitted.length;
  const counting = {
    ...listener,
    /** @param {Parameters<typeof listener.tokens>[0]} tokens */
    tokens: (tokens) => {
      length += tokens.length;
      if (request.prompt.includes(late) && length >= lateAt) process.kill(process.pid, 'SIGKILL');
      listener.tokens(tokens);
    },
  };
  start.call(this, request, counting);
};

await import('../../apps/worker/dist/main.js');
