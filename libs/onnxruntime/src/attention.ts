/**
 * How `GroupQueryAttention` is computed on a CPU: row by row in blocks ("flash"), or all rows and heads at once. ONNX Runtime
 * takes the choice from the environment of the process alone, where it looks while it makes a session.
 */
import type { Runtime, SessionOptions } from './types.js';

/**
 * The runtime with `flashAttention` among the options of its sessions. Those that give it are made one after the other, so that
 * none is made by the choice of another; a thread that shares its environment must not make sessions at the same time.
 */
export function withAttention(runtime: Runtime): Runtime {
  let latest: Promise<unknown> = Promise.resolve();
  return {
    ...runtime,
    createSession(model, { flashAttention, ...options }: SessionOptions = {}) {
      if (flashAttention === undefined) return runtime.createSession(model, options);
      const made = latest.then(() => {
        // biome-ignore lint/style/noProcessEnv: written, not read; the library takes this choice from nowhere else.
        process.env.ORT_GQA_DISABLE_FLASH_ATTENTION = flashAttention ? '0' : '1';
        return runtime.createSession(model, options);
      });
      latest = made.catch(() => undefined);
      return made;
    },
  };
}
