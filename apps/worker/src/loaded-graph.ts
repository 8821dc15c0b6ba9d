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
import { type GraphIdentity, ShoalError } from '@shoal/contracts';
import { graphFiles, identityOf, type Model, stampOf } from '@shoal/models';
import type { ClaimedItem, Engine, Outcome, Publisher } from '@shoal/queue';
import { refusedItem } from './refused-item.js';
import { retryAfterMs } from './retry.js';

export class LoadedGraph {
  readonly #path: string;
  /** Undefined: of a version with one variant, beside which nothing can be measured. */
  readonly #identity: GraphIdentity | undefined;

  private constructor(path: string, identity: GraphIdentity | undefined) {
    this.#path = path;
    this.#identity = identity;
  }

  /**
   * To be called before the model is loaded: what its files hold. They are read wherever somebody may measure the variant, now or while
   * it is loaded, and nothing that was measured of these very files has their hash.
   *
   * @throws what reading them throws: the model is loaded later, then
   */
  static async of({
    variants,
    variant,
    quality,
  }: Pick<Model, 'variants' | 'variant' | 'quality'>): Promise<LoadedGraph> {
    const path = variants[variant]!;
    if (Object.keys(variants).length === 1) return new LoadedGraph(path, undefined);
    const isMeasured = quality !== null && quality.graph.stamp === (await stampOf(graphFiles(path)));
    return new LoadedGraph(path, isMeasured ? quality.graph : await identityOf(path));
  }

  get sha256(): string | undefined {
    return this.#identity?.sha256;
  }

  /**
   * To be called when the model is loaded: that it was loaded from what was read. The same bytes may have come to lie elsewhere.
   *
   * @throws Error where it was replaced meanwhile; what reading its files throws
   */
  async confirm(): Promise<void> {
    const was = this.#identity;
    if (was === undefined || (await stampOf(graphFiles(this.#path))) === was.stamp) return;
    const { sha256 } = await identityOf(this.#path);
    if (sha256 !== was.sha256) throw new Error(`${this.#path} was replaced while it was loaded`);
  }
}

/** As engines are kept from others' items by. */
export type HeldGraph = Pick<LoadedGraph, 'sha256'>;

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
  /** What is on its way back: it has to be counted, or more and more of the same would be fetched meanwhile. */
  const refused = { items: 0, tokens: 0 };
  const count = ({ length }: ClaimedItem, sign: 1 | -1) => {
    refused.items += sign;
    refused.tokens += sign * length;
  };
  const refuse = async (item: ClaimedItem): Promise<Outcome> => {
    count(item, 1);
    try {
      if ((await publisher.begin([item]))[0] !== 1) return { kind: 'done' };
      const afterMs = retryAfterMs(item.attempts, random);
      await publisher.publish([afterMs === null ? refusedItem(item, changed()) : { item }]);
      return afterMs === null ? { kind: 'done' } : { kind: 'retry', afterMs };
    } finally {
      count(item, -1);
    }
  };
  return {
    room() {
      const { items, tokens } = engine.room();
      return { items: items - refused.items, tokens: tokens - refused.tokens };
    },
    isPreceded: (by) => engine.isPreceded(by),
    take: (item) => (item.graph === undefined || item.graph === graph.sha256 ? engine.take(item) : refuse(item)),
  };
}

function changed(): ShoalError {
  return new ShoalError(
    'model_changed',
    'the variant that was chosen by its measured loss was replaced before the job could run: send it again',
  );
}
