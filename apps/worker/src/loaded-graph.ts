/**
 * A job that was accepted for what one graph was measured to lose is answered by that graph or by none: it carries the graph's
 * SHA-256, and an engine gets its items only where that is the graph that this process has loaded.
 *
 * A variant's file may be replaced between a job's admission and its run. API and workers see that at different times, and perhaps
 * in copies of the folder that differ, so nothing but the bytes that were loaded can tell. (A queue for each graph would leave jobs
 * behind that nobody serves; the API would come too late for those that a worker holds already.) An item of another graph counts as an
 * attempt that failed: it is tried again twice, since this worker may be the one that is behind, and ends as `model_changed` then,
 * which whoever asked may send again.
 */
import { ShoalError } from '@shoal/contracts';
import { graphFiles, identityOf, type Model, stampOf } from '@shoal/models';
import type { ClaimedItem, Engine, Outcome, Publisher } from '@shoal/queue';
import { refusedItem } from './refused-item.js';
import { retryAfterMs } from './retry.js';

export class LoadedGraph {
  readonly #path: string;
  /** Of its files before the session was made of them. */
  readonly #stamp: string;
  #sha256: string | undefined;
  #reading: Promise<void> | undefined;

  private constructor(path: string, stamp: string, sha256: string | undefined) {
    this.#path = path;
    this.#stamp = stamp;
    this.#sha256 = sha256;
  }

  /** To be called before the model is loaded. What was measured of the very same files has their hash. */
  static async of({
    variants,
    variant,
    quality,
  }: Pick<Model, 'variants' | 'variant' | 'quality'>): Promise<LoadedGraph> {
    const path = variants[variant]!;
    const stamp = await stampOf(graphFiles(path));
    return new LoadedGraph(path, stamp, quality?.graph.stamp === stamp ? quality.graph.sha256 : undefined);
  }

  /** As far as it is known; undefined: it was not read yet, or was replaced before it could be. */
  get sha256(): string | undefined {
    return this.#sha256;
  }

  /** Reads it, once, where that has to be. */
  async is(sha256: string): Promise<boolean> {
    this.#reading ??= this.#sha256 === undefined ? this.#read() : Promise.resolve();
    await this.#reading;
    return this.#sha256 === sha256;
  }

  async #read(): Promise<void> {
    const found = await identityOf(this.#path).catch(() => undefined);
    // Else it is not what was loaded, and that is gone.
    if (found?.stamp === this.#stamp) this.#sha256 = found.sha256;
  }
}

/** As engines are kept from others' items by. */
export type HeldGraph = Pick<LoadedGraph, 'sha256' | 'is'>;

export interface OnlyOwnTools {
  readonly graph: HeldGraph;
  readonly publisher: Pick<Publisher, 'begin' | 'publish'>;
  readonly random: () => number;
}

/** What a consumer wants of the engine, which gets no item of another graph. */
export function onlyOwn(
  engine: Pick<Engine, 'room' | 'isPreceded' | 'take'>,
  { graph, publisher, random }: OnlyOwnTools,
): Pick<Engine, 'room' | 'isPreceded' | 'take'> {
  const takeOwn = async (item: ClaimedItem, wanted: string): Promise<Outcome> => {
    if (await graph.is(wanted)) return await engine.take(item);
    if ((await publisher.begin([item]))[0] !== 1) return { kind: 'done' };
    const afterMs = retryAfterMs(item.attempts, random);
    await publisher.publish([afterMs === null ? refusedItem(item, changed()) : { item }]);
    return afterMs === null ? { kind: 'done' } : { kind: 'retry', afterMs };
  };
  return {
    room: () => engine.room(),
    isPreceded: (by) => engine.isPreceded(by),
    take(item) {
      // At once wherever that is known: the engine has to count what it has before it is asked for its room again.
      if (item.graph === undefined || item.graph === graph.sha256) return engine.take(item);
      return takeOwn(item, item.graph);
    },
  };
}

function changed(): ShoalError {
  return new ShoalError(
    'model_changed',
    'the variant that was chosen by its measured loss was replaced before the job could run: send it again',
  );
}
