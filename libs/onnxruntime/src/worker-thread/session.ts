/** A session of onnxruntime-node in a thread of its own. */
import { checkFeeds, checkOutputs } from '../check.js';
import { loadError, runError } from '../errors.js';
import { Lifetime } from '../lifetime.js';
import { inTurn } from '../turns.js';
import type { IoBinding, RunOptions, Session, Tensor, TensorInfo, Tensors } from '../types.js';
import { CopyingBinding } from './binding.js';
import { ThreadClient } from './client.js';
import type { Request, Signature } from './protocol.js';

export async function loadInThread(
  device: string,
  request: Omit<Extract<Request, { op: 'load' }>, 'id' | 'op'>,
): Promise<Session> {
  const thread = new ThreadClient();
  try {
    const signature = await inTurn(device, () => thread.request<Signature>({ op: 'load', ...request }));
    return new ThreadSession(thread, device, signature);
  } catch (error) {
    await thread.terminate();
    throw loadError(error);
  }
}

class ThreadSession implements Session {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly metadata = undefined;
  readonly #thread: ThreadClient;
  readonly #device: string;
  readonly #lifetime = new Lifetime('session');

  constructor(thread: ThreadClient, device: string, { inputs, outputs }: Signature) {
    this.#thread = thread;
    this.#device = device;
    this.inputs = inputs;
    this.outputs = outputs;
  }

  run(feeds: Tensors, options: RunOptions = {}): Promise<Record<string, Tensor>> {
    return this.#lifetime.during(async () => {
      checkFeeds(this.inputs, feeds);
      const outputs = checkOutputs(this.outputs, options);
      options.signal?.throwIfAborted();
      // Posting copies the feeds, so the caller may go on with them even if the run outlives its abortion.
      const run = inTurn(this.#device, () => {
        options.signal?.throwIfAborted();
        return this.#thread.request<Record<string, Tensor>>({ op: 'run', feeds, outputs });
      });
      try {
        return writeInto(options.preallocated ?? {}, await abortable(run, options.signal));
      } catch (error) {
        throw runError(error, options.signal);
      }
    });
  }

  bind(): IoBinding {
    this.#lifetime.assertOpen();
    return new CopyingBinding(this);
  }

  release(): Promise<void> {
    return this.#lifetime.close(() => inTurn(this.#device, () => this.#thread.close()));
  }
}

/** Puts outputs where the caller wants them. */
function writeInto(targets: Tensors, results: Record<string, Tensor>): Record<string, Tensor> {
  for (const [name, target] of Object.entries(targets)) {
    const { dims, data } = results[name]!;
    if (dims.join() !== target.dims.join()) {
      throw new Error(`Output "${name}" has the shape [${dims.join(', ')}], its memory [${target.dims.join(', ')}]`);
    }
    (target.data as Uint8Array).set(data as Uint8Array);
    results[name] = target;
  }
  return results;
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
