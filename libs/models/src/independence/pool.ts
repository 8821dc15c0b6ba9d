/** Made-up rows of one kind, and what each of them gives alone and in company. */
import type { WireItem } from '@shoal/contracts';
import type { SessionPort, SessionTensor } from '../session.js';
import { batchesOf } from './batches.js';
import { agree, type RowOutput, rowOutput } from './row-outputs.js';

/** A row that gives something else in company. The message says in which way. */
export class Coupled extends Error {}

/** There is no time left. */
export class GivenUp extends Error {}

function isVerdict(error: unknown): boolean {
  return error instanceof Coupled || error instanceof GivenUp;
}

/** How a model's rows are run, and which outputs matter. */
export interface Trial {
  readonly session: SessionPort;
  /** Feeds of one pass. */
  readonly join: (items: readonly WireItem[]) => Record<string, SessionTensor>;
  readonly outputs: readonly string[];
  /**
   * Share of its largest value by which a row may differ where the number of rows or the padding does: other kernels add in
   * another order.
   */
  readonly tolerance: number;
}

/**
 * The same where shapes are equal: the same kernels run, and only where a buffer starts may change the order in which a few
 * numbers are added.
 */
const SAME_SHAPE_TOLERANCE = 1e-6;

/** By output. */
type Outputs = readonly RowOutput[];

export interface MadeUpRow {
  readonly item: WireItem;
  /** Of ordinary size: what it gives in company can be compared with what it gives alone. */
  readonly tame: boolean;
}

export class Pool {
  readonly #trial: Trial;
  readonly #rows: readonly (MadeUpRow & { readonly alone: Outputs })[];
  /** What a row gave, by the shape of the batch and its place in it. */
  readonly #seen = new Map<string, Outputs>();

  private constructor(trial: Trial, rows: readonly (MadeUpRow & { readonly alone: Outputs })[]) {
    this.#trial = trial;
    this.#rows = rows;
  }

  /**
   * Runs every row alone and leaves out those that the graph refuses (a number that is no index of its table).
   *
   * @throws Coupled where an output of a single row does not have one entry, or is another one the next time
   */
  static async open(trial: Trial, rows: readonly MadeUpRow[]): Promise<Pool> {
    const usable: (MadeUpRow & { readonly alone: Outputs })[] = [];
    for (const row of rows) {
      const result = await run(trial, [row.item]).catch((error: unknown) => {
        if (isVerdict(error)) throw error;
        return null;
      });
      if (result !== null) usable.push({ ...row, alone: result.rows[0]! });
    }
    const pool = new Pool(trial, usable);
    if (usable.length > 0) await pool.#checkRepeatable();
    return pool;
  }

  /** Random graphs are not, and those that keep something from run to run. */
  async #checkRepeatable(): Promise<void> {
    const { item, alone } = this.#rows[0]!;
    const again = await run(this.#trial, [item]);
    this.#compare(alone, again.rows[0]!, SAME_SHAPE_TOLERANCE, 'is another one each time it is run');
  }

  /** Rows that run. */
  get size(): number {
    return this.#rows.length;
  }

  /** Rows of which an output of one value is not 0. */
  countOf(name: string): number {
    const output = this.#trial.outputs.indexOf(name);
    return this.#rows.filter(({ alone }) => Number(alone[output]?.values[0]) !== 0).length;
  }

  /** Whether any output depends on the row at all; what is constant would hide any coupling. */
  get varies(): boolean {
    const [first, ...others] = this.#rows;
    return others.some(({ alone }) =>
      alone.some((output, i) => !agree(first!.alone[i]!, output, SAME_SHAPE_TOLERANCE)),
    );
  }

  /** @throws Coupled where a row of a batch of `size` depends on its neighbours */
  async check(size: number): Promise<void> {
    for (const batch of batchesOf(size, this.size)) {
      const items = batch.map((n) => this.#rows[n]!.item);
      const result = await run(this.#trial, items).catch((error: unknown) => {
        throw isVerdict(error) ? error : new Coupled('rows that run alone fail together');
      });
      for (const [place, n] of batch.entries()) this.#judge(n, result.rows[place]!, `${result.shape} ${place} ${n}`);
    }
  }

  #judge(n: number, outputs: Outputs, key: string): void {
    const before = this.#seen.get(key);
    if (before === undefined) this.#seen.set(key, outputs);
    else this.#compare(before, outputs, SAME_SHAPE_TOLERANCE, 'changes with the rows beside it');
    const { alone, tame } = this.#rows[n]!;
    // Where numbers are huge, what overflows first depends on the order: such rows only disturb the others.
    if (tame) this.#compare(alone, outputs, this.#trial.tolerance, 'is not the same beside others as alone');
  }

  #compare(expected: Outputs, outputs: Outputs, tolerance: number, verdict: string): void {
    const differs = outputs.findIndex((output, i) => !agree(expected[i]!, output, tolerance));
    if (differs >= 0) throw new Coupled(`output ${this.#trial.outputs[differs]} of a row ${verdict}`);
  }
}

/** One pass; `shape` is that of its inputs. @throws Coupled where an output does not have as many entries as there are rows */
async function run(
  { session, join, outputs: names }: Trial,
  items: readonly WireItem[],
): Promise<{ readonly rows: readonly Outputs[]; readonly shape: string }> {
  const feeds = join(items);
  const results = await session.run(feeds);
  const width = feeds.input_ids?.dims[1];
  const rows = items.map((item, row) => {
    const place = { row, rows: items.length, ...(item.kind === 'text' && { length: item.ids.length, width: width! }) };
    return names.map((name) => {
      const output = rowOutput(results[name]!, place);
      if (output !== undefined) return output;
      const shape = results[name]!.dims.join(', ');
      throw new Coupled(
        `output ${name} has the shape [${shape}] for ${items.length} ${items.length === 1 ? 'row' : 'rows'}`,
      );
    });
  });
  return {
    rows,
    shape: Object.values(feeds)
      .map(({ dims }) => dims.join())
      .join(';'),
  };
}
