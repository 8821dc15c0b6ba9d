/**
 * ONNX Runtime alone: forward passes over inputs that are tokenised, sorted by length over the whole set, and padded
 * beforehand. Nothing is pooled, serialised or stored. The same shared library and session options as the worker's.
 */
import { MAX_ITEMS } from '@shoal/contracts';
import { createModelFace, type EncodedInput, type Model } from '@shoal/models';
import type { Runtime, Session, Tensors } from '@shoal/onnxruntime';
import { measure } from './measure.js';
import type { Text } from './texts.js';

/** Padded tokens of one batch. */
const BUDGETS = [256, 512, 1024, 2048, 4096, 8192];
/** Two threads on one pass, or one thread on each of two. */
const LAYOUTS = [
  { threads: 2, passes: 1 },
  { threads: 1, passes: 2 },
];

export interface OrtSetting {
  readonly threads: number;
  readonly passes: number;
  readonly budget: number;
}

export const SETTINGS: readonly OrtSetting[] = LAYOUTS.flatMap((layout) =>
  BUDGETS.map((budget) => ({ ...layout, budget })),
);

export class OrtAlone {
  readonly #sessions: ReadonlyMap<number, Session>;

  private constructor(sessions: ReadonlyMap<number, Session>) {
    this.#sessions = sessions;
  }

  static async open(runtime: Runtime, model: Model): Promise<OrtAlone> {
    const sessions = new Map<number, Session>();
    for (const { threads } of LAYOUTS) {
      sessions.set(threads, await runtime.createSession(model.variants[model.variant]!, { intraOpThreads: threads }));
    }
    return new OrtAlone(sessions);
  }

  /** Items per second with each setting, best first. */
  async tune(inputs: readonly Uint32Array[]): Promise<{ setting: OrtSetting; rate: number }[]> {
    const rates = SETTINGS.map((setting) => ({ setting, rate: 0 }));
    for (let repeat = 0; repeat < 2; repeat++) {
      for (const entry of rates) {
        const batches = prepare(inputs, entry.setting);
        const { rate } = await measure(inputs.length, [], () => this.run(batches, entry.setting));
        entry.rate = Math.max(entry.rate, rate);
      }
    }
    return rates.sort((a, b) => b.rate - a.rate);
  }

  /** Runs batches that `prepare` made; resolves when the last pass has ended. */
  async run(batches: readonly Tensors[], { threads, passes }: OrtSetting): Promise<void> {
    const session = this.#sessions.get(threads)!;
    let next = 0;
    const lane = async () => {
      while (next < batches.length) await session.run(batches[next++]!);
    };
    await Promise.all(Array.from({ length: passes }, lane));
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
  }
}

/** Padded batches, sorted by length over the whole set. */
export function prepare(inputs: readonly Uint32Array[], { budget }: OrtSetting): Tensors[] {
  return sortedBatches(inputs, budget).map(pad);
}

/** Token ids of each text. */
export async function tokenise(model: Model, texts: readonly Text[]): Promise<Uint32Array[]> {
  const face = await createModelFace(model);
  const encoded: EncodedInput[] = [];
  for (let n = 0; n < texts.length; n += MAX_ITEMS) {
    encoded.push(await face.encode({ input: texts.slice(n, n + MAX_ITEMS).map(({ text }) => text) }));
  }
  const items = encoded.flatMap((part) => part.items);
  return items.map((item, i) => {
    if (item.kind !== 'text' || item.ids.length !== texts[i]!.length) throw new Error('a text has another length');
    return item.ids;
  });
}

/** Longest first, so that the arena of ONNX Runtime grows once. */
function sortedBatches(inputs: readonly Uint32Array[], budget: number): Uint32Array[][] {
  const sorted = [...inputs].sort((a, b) => b.length - a.length);
  const batches: Uint32Array[][] = [];
  for (const ids of sorted) {
    const batch = batches.at(-1);
    if (batch && (batch.length + 1) * batch[0]!.length <= budget) batch.push(ids);
    else batches.push([ids]);
  }
  return batches;
}

function pad(batch: readonly Uint32Array[]): Tensors {
  const width = Math.max(...batch.map(({ length }) => length));
  const dims = [batch.length, width];
  const tensor = () => new BigInt64Array(new ArrayBuffer(8 * batch.length * width));
  const [ids, mask] = [tensor(), tensor()];
  batch.forEach((row, r) => {
    row.forEach((id, i) => {
      ids[r * width + i] = BigInt(id);
      mask[r * width + i] = 1n;
    });
  });
  return {
    input_ids: { type: 'int64', dims, data: ids },
    attention_mask: { type: 'int64', dims, data: mask },
    token_type_ids: { type: 'int64', dims, data: tensor() },
  };
}
