/** Inputs and outputs bound to a session of the C API. */
import { ShoalError } from '@shoal/contracts';
import { checkInput, checkTarget, find, missing } from '../check.js';
import { type Device, parseDevice } from '../device-names.js';
import { runError } from '../errors.js';
import { Lifetime } from '../lifetime.js';
import { inTurn } from '../turns.js';
import type { BoundRunOptions, IoBinding, Tensor } from '../types.js';
import { wordsAt } from './memory.js';
import type { LoadedModel } from './model-info.js';
import { terminable } from './termination.js';
import { readValue, Values } from './values.js';

/** The names by which ONNX Runtime knows the memory of devices; CoreML shares the CPU's. */
const MEMORY: Record<Device['kind'], string> = {
  cpu: 'Cpu',
  cuda: 'Cuda',
  tensorrt: 'Cuda',
  webgpu: 'WebGPU_Buf',
  coreml: 'Cpu',
  directml: 'DML',
};

export class CApiBinding implements IoBinding {
  readonly #model: LoadedModel;
  readonly #pointer: bigint;
  readonly #onRelease: () => void;
  readonly #lifetime = new Lifetime('binding');
  /** What is bound, in the order of the native binding; it keeps the memory alive. `undefined`: fed back. */
  readonly #inputs = new Map<string, Tensor | undefined>();
  readonly #outputs = new Map<string, Tensor | string>();
  /** The outputs that a run has written since they were bound; the others are values without memory. */
  readonly #computed = new Set<string>();
  /**
   * What runs resolve to, where all outputs are in memory of the caller: made by the first run since one was bound. There is
   * nothing to look up for the next ones, and a decoder has a hundred inputs and outputs.
   */
  #unchanging: Record<string, Tensor> | undefined;
  #running = false;

  constructor(model: LoadedModel, onRelease: () => void) {
    this.#model = model;
    this.#onRelease = onRelease;
    this.#pointer = model.native.api.get('CreateIoBinding', model.session);
  }

  bindInput(name: string, tensor: Tensor): void {
    this.#assertIdle();
    checkInput(this.#model.inputs, name, tensor);
    // Elsewhere a run binds it, since that copies it.
    if (this.#model.device === 'cpu') this.#bind('BindInput', name, tensor);
    this.#inputs.set(name, tensor);
  }

  bindOutput(name: string, target: Tensor | string): void {
    this.#assertIdle();
    if (typeof target === 'string') {
      find(this.#model.outputs, 'output', name);
      this.#bindToDevice(name, target);
    } else {
      checkTarget(this.#model.outputs, name, target);
      this.#bind('BindOutput', name, target);
    }
    this.#outputs.set(name, target);
    this.#computed.delete(name);
    this.#unchanging = undefined;
  }

  feedBack(output: string, input: string): void {
    this.#assertIdle();
    find(this.#model.inputs, 'input', input);
    if (!this.#computed.has(output)) {
      throw new ShoalError('inference_failed', `Output "${output}" has not been computed`);
    }
    const values = this.#outputValues();
    try {
      const index = [...this.#outputs.keys()].indexOf(output);
      this.#model.native.api.call('BindInput', this.#pointer, input, values.pointers[index]!);
    } catch (error) {
      throw runError(error);
    } finally {
      values.release();
    }
    const target = this.#outputs.get(output)!;
    this.#inputs.set(input, typeof target === 'string' ? undefined : target);
  }

  run(options: BoundRunOptions = {}): Promise<Record<string, Tensor>> {
    return this.#lifetime.during(async () => {
      this.#assertIdle();
      this.#running = true;
      try {
        await inTurn(this.#model.device, async () => {
          this.#prepare();
          await this.#runNative(options);
        });
        return this.#unchanging ?? this.#results();
      } catch (error) {
        throw runError(error, options.signal);
      } finally {
        this.#running = false;
      }
    });
  }

  release(): Promise<void> {
    return this.#lifetime.close(async () => {
      const { api } = this.#model.native;
      await inTurn(this.#model.device, () => api.releaseAsync('IoBinding', this.#pointer));
      this.#inputs.clear();
      this.#outputs.clear();
      this.#onRelease();
    });
  }

  async #runNative({ blocking = false, signal }: BoundRunOptions): Promise<void> {
    const { native, session } = this.#model;
    signal?.throwIfAborted();
    if (blocking) native.api.call('RunWithBinding', session, 0n, this.#pointer);
    else {
      await terminable(native.api, signal, (runOptions) =>
        native.api.callAsync('RunWithBinding', session, runOptions, this.#pointer),
      );
    }
  }

  #assertIdle(): void {
    this.#lifetime.assertOpen();
    if (this.#running) throw new ShoalError('inference_failed', 'The binding is running');
  }

  #prepare(): void {
    if (this.#unchanging !== undefined && this.#model.device === 'cpu') return;
    for (const info of this.#model.inputs) if (!this.#inputs.has(info.name)) throw missing(info);
    for (const [name, target] of this.#outputs) {
      // The native binding keeps the last output and would write into it again, whatever the new shape is.
      if (typeof target === 'string') this.#bindToDevice(name, target);
    }
    if (this.#model.device === 'cpu') return;
    for (const [name, tensor] of this.#inputs) {
      // Binding copies an input to its device, and the caller may rewrite it between runs.
      if (tensor !== undefined) this.#bind('BindInput', name, tensor);
    }
  }

  /** The native binding keeps the value; the tensor's memory is kept by the maps above. */
  #bind(function_: 'BindInput' | 'BindOutput', name: string, tensor: Tensor): void {
    const values = new Values(this.#model.native);
    try {
      this.#model.native.api.call(function_, this.#pointer, name, values.add(tensor));
    } catch (error) {
      throw runError(error);
    } finally {
      values.release();
    }
  }

  #bindToDevice(name: string, device: string): void {
    const { api } = this.#model.native;
    const { kind, index } = parseDevice(device, this.#model.installed);
    const memory = api.get('CreateMemoryInfo', MEMORY[kind], 0, index, 0);
    try {
      api.call('BindOutputToDevice', this.#pointer, name, memory);
    } finally {
      api.release('MemoryInfo', memory);
    }
  }

  #results(): Record<string, Tensor> {
    for (const name of this.#outputs.keys()) this.#computed.add(name);
    const results: Record<string, Tensor> = {};
    const targets = [...this.#outputs.values()];
    if (!targets.some((target) => typeof target === 'string')) this.#unchanging = results;
    const onCpu = targets.includes('cpu');
    const values = onCpu ? this.#outputValues() : undefined;
    try {
      [...this.#outputs].forEach(([name, target], i) => {
        if (typeof target !== 'string') results[name] = target;
        else if (target === 'cpu') results[name] = readValue(this.#model.native, values!.pointers[i]!);
      });
    } finally {
      values?.release();
    }
    return results;
  }

  #outputValues(): { pointers: readonly bigint[]; release: () => void } {
    const { api, allocator } = this.#model.native;
    const out = new BigUint64Array(2);
    api.call('GetBoundOutputValues', this.#pointer, allocator, out.subarray(0, 1), out.subarray(1));
    const pointers = wordsAt(out[0]!, Number(out[1]));
    if (out[0] !== 0n) api.call('AllocatorFree', allocator, out[0]!);
    return {
      pointers,
      release: () => {
        for (const pointer of pointers) api.release('Value', pointer);
      },
    };
  }
}
