/** I/O binding where there is none: the same results in the same memory, by copying. */
import { ShoalError } from '@shoal/contracts';
import { checkInput, checkTarget, find } from '../check.js';
import { Lifetime } from '../lifetime.js';
import type { BoundRunOptions, IoBinding, Session, Tensor } from '../types.js';

export class CopyingBinding implements IoBinding {
  readonly #session: Session;
  readonly #inputs: Record<string, Tensor> = {};
  readonly #outputs = new Map<string, Tensor | string>();
  readonly #lifetime = new Lifetime('binding');
  #last: Record<string, Tensor> = {};
  #running = false;

  constructor(session: Session) {
    this.#session = session;
  }

  bindInput(name: string, tensor: Tensor): void {
    this.#assertIdle();
    checkInput(this.#session.inputs, name, tensor);
    this.#inputs[name] = tensor;
  }

  bindOutput(name: string, target: Tensor | string): void {
    this.#assertIdle();
    if (typeof target !== 'string') checkTarget(this.#session.outputs, name, target);
    else find(this.#session.outputs, 'output', name);
    if (typeof target === 'string' && target !== 'cpu') {
      throw new ShoalError('device_unavailable', `Outputs can stay on "${target}" with the C API only`);
    }
    this.#outputs.set(name, target);
    delete this.#last[name];
  }

  feedBack(output: string, input: string): void {
    this.#assertIdle();
    find(this.#session.inputs, 'input', input);
    const value = Object.hasOwn(this.#last, output) ? this.#last[output] : undefined;
    if (value === undefined) throw new ShoalError('inference_failed', `Output "${output}" has not been computed`);
    this.#inputs[input] = value;
  }

  run({ signal }: BoundRunOptions = {}): Promise<Record<string, Tensor>> {
    return this.#lifetime.during(async () => {
      this.#assertIdle();
      this.#running = true;
      try {
        const preallocated = Object.fromEntries(
          [...this.#outputs].filter((entry): entry is [string, Tensor] => typeof entry[1] !== 'string'),
        );
        const outputs = [...this.#outputs.keys()];
        this.#last = await this.#session.run(this.#inputs, { outputs, preallocated, ...(signal && { signal }) });
        return { ...this.#last };
      } finally {
        this.#running = false;
      }
    });
  }

  release(): Promise<void> {
    return this.#lifetime.close(() => {});
  }

  #assertIdle(): void {
    this.#lifetime.assertOpen();
    if (this.#running) throw new ShoalError('inference_failed', 'The binding is running');
  }
}
