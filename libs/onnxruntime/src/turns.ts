/**
 * What sessions of one process must not do at once. Those on WebGPU share a recording of commands that nothing locks: the
 * process ends with SIGSEGV when two of them run, or one loads while another runs (microsoft/onnxruntime#32561).
 */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Begins `work` when all work before it has ended, well or not. */
  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }
}

const webgpu = new Turns();

/** For everything by which a session on `device` uses it: loading, running, releasing. */
export function inTurn<T>(device: string, work: () => Promise<T>): Promise<T> {
  return device === 'webgpu' ? webgpu.take(work) : work();
}
