/** A session of the C API. */
import { checkFeeds, checkOutputs } from '../check.js';
import type { Device } from '../device-names.js';
import { loadError, runError } from '../errors.js';
import { Lifetime } from '../lifetime.js';
import { inTurn } from '../turns.js';
import type {
  IoBinding,
  ModelMetadata,
  RunOptions,
  Session,
  SessionOptions,
  Tensor,
  TensorInfo,
  Tensors,
} from '../types.js';
import { CApiBinding } from './binding.js';
import { addressOf, NativeTexts } from './memory.js';
import { type LoadedModel, readInputs, readMetadata, readOutputs } from './model-info.js';
import { createSessionOptions } from './session-options.js';
import { terminable } from './termination.js';
import { type Native, readValue, Values } from './values.js';

export function loadSession(
  native: Native,
  source: string | Uint8Array,
  options: SessionOptions,
  installed: readonly Device['kind'][],
): Promise<Session> {
  const device = options.device ?? 'cpu';
  return inTurn(device, () => load(native, source, { ...options, device }, installed));
}

/** On a thread of the pool: reading and optimising a large model takes seconds. */
async function load(
  native: Native,
  source: string | Uint8Array,
  options: SessionOptions & { readonly device: string },
  installed: readonly Device['kind'][],
): Promise<Session> {
  const { api, env } = native;
  const memory = new Values(native);
  const out = memory.hold(new BigUint64Array(1));
  let sessionOptions = 0n;
  try {
    sessionOptions = createSessionOptions(api, options, installed);
    if (typeof source === 'string') {
      await api.callAsync('CreateSession', env, source, sessionOptions, addressOf(out));
    } else {
      const bytes = addressOf(memory.hold(source));
      await api.callAsync('CreateSessionFromArray', env, bytes, source.length, sessionOptions, addressOf(out));
    }
    const session = out[0]!;
    const [inputs, outputs] = [readInputs(native, session), readOutputs(native, session)];
    const model = { native, session, device: options.device, installed, inputs, outputs };
    return new CApiSession(model, readMetadata(native, session));
  } catch (error) {
    api.release('Session', out[0]!);
    throw loadError(error);
  } finally {
    api.release('SessionOptions', sessionOptions);
    memory.release();
  }
}

class CApiSession implements Session {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly metadata: ModelMetadata;
  readonly #model: LoadedModel;
  readonly #names: NativeTexts;
  readonly #nameOf: ReadonlyMap<string, bigint>;
  readonly #bindings = new Set<IoBinding>();
  readonly #lifetime = new Lifetime('session');

  constructor(model: LoadedModel, metadata: ModelMetadata) {
    this.#model = model;
    this.inputs = model.inputs;
    this.outputs = model.outputs;
    this.metadata = metadata;
    const names = [...new Set([...this.inputs, ...this.outputs].map(({ name }) => name))];
    this.#names = new NativeTexts(names);
    this.#nameOf = new Map(names.map((name, i) => [name, this.#names.pointers[i]!]));
  }

  run(feeds: Tensors, options: RunOptions = {}): Promise<Record<string, Tensor>> {
    return this.#lifetime.during(async () => {
      checkFeeds(this.inputs, feeds);
      const outputs = checkOutputs(this.outputs, options);
      const values = new Values(this.#model.native);
      try {
        return await this.#run(values, feeds, outputs, options);
      } catch (error) {
        throw runError(error, options.signal);
      } finally {
        values.release();
      }
    });
  }

  async #run(values: Values, feeds: Tensors, outputs: readonly string[], options: RunOptions) {
    const { api } = this.#model.native;
    const preallocated = new Map(Object.entries(options.preallocated ?? {}));
    const [ins, outs] = [this.inputs.length, outputs.length];
    // The four arrays that Run takes, one after the other: names and values of the inputs, then of the outputs.
    const arrays = values.hold(new BigUint64Array(2 * (ins + outs)));
    this.inputs.forEach(({ name }, i) => {
      arrays[i] = this.#nameOf.get(name)!;
      arrays[ins + i] = values.add(feeds[name]!);
    });
    outputs.forEach((name, i) => {
      arrays[2 * ins + i] = this.#nameOf.get(name)!;
      const target = preallocated.get(name);
      if (target) arrays[2 * ins + outs + i] = values.add(target);
    });
    const [inNames, inValues, outNames, outValues] = [0, ins, 2 * ins, 2 * ins + outs].map(
      (index) => addressOf(arrays) + BigInt(index * arrays.BYTES_PER_ELEMENT),
    ) as [bigint, bigint, bigint, bigint];
    const { device, session } = this.#model;
    await inTurn(device, () =>
      terminable(api, options.signal, (runOptions) =>
        api.callAsync('Run', session, runOptions, inNames, inValues, ins, outNames, outs, outValues),
      ),
    );
    const results: Record<string, Tensor> = {};
    outputs.forEach((name, i) => {
      const made = arrays[2 * ins + outs + i]!;
      results[name] = preallocated.get(name) ?? readValue(this.#model.native, values.own(made));
    });
    return results;
  }

  bind(): IoBinding {
    this.#lifetime.assertOpen();
    const binding = new CApiBinding(this.#model, () => this.#bindings.delete(binding));
    this.#bindings.add(binding);
    return binding;
  }

  release(): Promise<void> {
    return this.#lifetime.close(async () => {
      await Promise.all([...this.#bindings].map((binding) => binding.release()));
      const { device, native, session } = this.#model;
      await inTurn(device, () => native.api.releaseAsync('Session', session));
    });
  }
}
