/** Answers computed in this process, by the passes that workers make. The model is loaded when the first page needs it. */
import type { TextItem, WireOutput } from '@shoal/contracts';
import { findJoining, loadRunner, type Model, type ModelRunner, sessionModel } from '@shoal/models';
import type { Context } from '../types.js';
import type { AnswerSource, Given, Page } from './types.js';

/** Rows of one pass, and its tokens with padding. */
const ROWS = 32;
const TOKENS = 4096;

export type HereContext = Pick<Context, 'runtime' | 'now' | 'signal'>;

export class AnswerHere implements AnswerSource {
  readonly width = 1;
  readonly #model: Model;
  readonly #context: HereContext;
  #runner: Promise<ModelRunner> | undefined;

  constructor(model: Model, context: HereContext) {
    this.#model = model;
    this.#context = context;
  }

  /** @throws ShoalError also where the model cannot be loaded */
  async answer({ items, resolved }: Pick<Page, 'items' | 'resolved'>): Promise<Given> {
    this.#runner ??= this.#load();
    const runner = await this.#runner;
    const outputs = new Array<WireOutput>(items.length);
    for (const batch of batches(items, (item) => runner.groupKey(item))) {
      this.#context.signal.throwIfAborted();
      const made = await runner.run(batch.map((n) => ({ item: items[n]!, parameters: resolved })));
      for (const [row, n] of batch.entries()) {
        const output = made[row]!;
        if (output instanceof Error) throw output;
        outputs[n] = output;
      }
    }
    return { outputs, taken: () => {} };
  }

  async close(): Promise<void> {
    // One that did not load has nothing to close, and whoever asked has been told.
    const runner = await this.#runner?.catch(() => undefined);
    await runner?.close();
  }

  async #load(): Promise<ModelRunner> {
    const { runtime, now } = this.#context;
    const model = this.#model;
    const session = await runtime.createSession(sessionModel(model.variants[model.variant]!));
    try {
      const device = { runtimeVersion: runtime.version, device: 'cpu', deviceOptions: {} };
      const { joining } = await findJoining(model, session, { ...device, now });
      return loadRunner(model, session, joining);
    } catch (error) {
      await session.release();
      throw error;
    }
  }
}

/** Places of items that share a pass, neighbours by length. */
function batches(items: readonly TextItem[], keyOf: (item: TextItem) => string): number[][] {
  const order = items.map((_, n) => n).sort((a, b) => items[a]!.ids.length - items[b]!.ids.length);
  const all: number[][] = [];
  for (const n of order) {
    const last = all.at(-1);
    const { length } = items[n]!.ids;
    const fits = last !== undefined && last.length < ROWS && (last.length + 1) * length <= TOKENS;
    if (fits && keyOf(items[last[0]!]!) === keyOf(items[n]!)) last.push(n);
    else all.push([n]);
  }
  return all;
}
