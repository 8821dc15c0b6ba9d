/**
 * ONNX Runtime's C API with nothing around it: synchronous calls, inputs and outputs bound once, keys and values in place.
 * How fast a graph decodes if a process does nothing else. Linux only.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import koffi, { type LibraryHandle } from 'koffi';
import { type LlamaShape, MAX_CONTEXT } from './random-llama.js';
import { ROOT } from './root.js';

/** Places in the table of functions, which is append-only (onnxruntime_c_api.h). */
const PLACES = {
  GetErrorMessage: 2,
  CreateEnv: 3,
  CreateSession: 7,
  CreateSessionOptions: 10,
  SetIntraOpNumThreads: 24,
  CreateTensorWithDataAsOrtValue: 49,
  CreateCpuMemoryInfo: 69,
  RunWithBinding: 133,
  CreateIoBinding: 134,
  BindInput: 136,
  BindOutput: 137,
} as const;
type Name = keyof typeof PLACES;

const API_VERSION = 30;
const ERROR = 3;
const TYPES = { float32: 1, int32: 6, int64: 7 } as const;

export class PlainDriver {
  readonly #shape: LlamaShape;
  /** koffi unmaps a library once its handle is garbage. */
  readonly #library: LibraryHandle;
  readonly #table: readonly unknown[];
  readonly #functions = new Map<Name, (...args: unknown[]) => unknown>();
  readonly #session: unknown;
  readonly #cpu: unknown;

  constructor(model: string, shape: LlamaShape, threads: number) {
    this.#shape = shape;
    const package_ = createRequire(join(ROOT, 'libs/onnxruntime/package.json')).resolve(
      'onnxruntime-node/package.json',
    );
    const folder = join(dirname(package_), 'bin/napi-v6', process.platform, process.arch);
    this.#library = koffi.load(join(folder, 'libonnxruntime.so.1'));
    const base: unknown = this.#library.func('OrtGetApiBase', 'void *', [])();
    const [getApi] = koffi.decode(base, 'void *', 1) as unknown[];
    const api: unknown = koffi.decode(getApi, koffi.proto('void *', ['uint32_t']))(API_VERSION);
    this.#table = koffi.decode(api, 'void *', 1 + Math.max(...Object.values(PLACES))) as unknown[];
    const env = this.#make('CreateEnv', ['int', 'const char *'], ERROR, 'plain');
    const options = this.#make('CreateSessionOptions', []);
    this.#call('SetIntraOpNumThreads', ['void *', 'int'], options, threads);
    this.#session = this.#make('CreateSession', ['void *', 'const char *', 'void *'], env, model, options);
    this.#cpu = this.#make('CreateCpuMemoryInfo', ['int', 'int'], 1, 0);
  }

  /** Fills `batch` rows with `context` tokens; the function that is returned decodes that many tokens in each. */
  prepare(batch: number, context: number): (steps: number) => void {
    const { layers, kvHeads, width, heads, vocabulary } = this.#shape;
    const binding = this.#make('CreateIoBinding', ['void *'], this.#session);
    const bind = (side: 'BindInput' | 'BindOutput', name: string, value: unknown) =>
      this.#call(side, ['void *', 'const char *', 'void *'], binding, name, value);
    const lengths = new Int32Array(new ArrayBuffer(4 * batch));
    const total = new Int32Array(new ArrayBuffer(4));
    // What is bound must not be collected: native code alone refers to it.
    const held: unknown[] = [];
    const run = () => this.#call('RunWithBinding', ['void *', 'void *', 'void *'], this.#session, null, binding);
    bind('BindInput', 'seqlens_k', this.#tensor('int32', lengths, [batch]));
    bind('BindInput', 'total_len', this.#tensor('int32', total, []));
    const logits = new Float32Array(batch * vocabulary);
    bind('BindOutput', 'logits', this.#tensor('float32', logits, [batch, vocabulary]));
    const head = width / heads;
    for (const name of Array.from({ length: layers }, (_, n) => [`${n}.key`, `${n}.value`]).flat()) {
      const memory = new Float32Array(batch * kvHeads * MAX_CONTEXT * head);
      const value = this.#tensor('float32', memory, [batch, kvHeads, MAX_CONTEXT, head]);
      bind('BindInput', `past.${name}`, value);
      bind('BindOutput', `present.${name}`, value);
      held.push(memory);
    }
    const prompt = BigInt64Array.from({ length: batch * context }, (_, n) => BigInt(5 + (n % 100)));
    bind('BindInput', 'input_ids', this.#tensor('int64', prompt, [batch, context]));
    lengths.fill(context - 1);
    total[0] = context;
    run();
    const ids = new BigInt64Array(new ArrayBuffer(8 * batch)).fill(7n);
    held.push(prompt, ids);
    bind('BindInput', 'input_ids', this.#tensor('int64', ids, [batch, 1]));
    return (steps) => {
      for (let step = 0; step < steps; step++) {
        lengths.fill(context + step);
        total[0] = context + step + 1;
        run();
      }
      if (held.length === 0 || !logits.every(Number.isFinite)) throw new Error('the plain graph failed');
    };
  }

  #tensor(type: keyof typeof TYPES, data: ArrayBufferView, dims: readonly number[]): unknown {
    const types = ['void *', 'void *', 'size_t', 'int64_t *', 'size_t', 'int'];
    const shape = BigInt64Array.from(dims, BigInt);
    const address = koffi.address(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    const args = [this.#cpu, address, data.byteLength, shape, dims.length, TYPES[type]];
    return this.#make('CreateTensorWithDataAsOrtValue', types, ...args);
  }

  /** A function whose last parameter is where it leaves what it made. */
  #make(name: Name, types: readonly string[], ...args: unknown[]): unknown {
    const out = new BigUint64Array(1);
    this.#call(name, [...types, 'uint64_t *'], ...args, out);
    return out[0];
  }

  #call(name: Name, types: readonly string[], ...args: unknown[]): void {
    const call =
      this.#functions.get(name) ?? koffi.decode(this.#table[PLACES[name]], koffi.proto('void *', [...types]));
    this.#functions.set(name, call);
    const status = call(...args);
    if (status === null || status === 0n) return;
    const message = koffi.decode(this.#table[PLACES.GetErrorMessage], koffi.proto('const char *', ['void *']))(status);
    throw new Error(`${name}: ${String(message)}`);
  }
}
