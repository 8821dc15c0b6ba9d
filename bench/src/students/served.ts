/** A variant of a model as a worker has it: its answers to texts, and passes over rows that are tokenised beforehand. */
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MAX_ITEMS, type WireItem, type WireOutput } from '@shoal/contracts';
import {
  createModelFace,
  findJoining,
  loadRunner,
  type Model,
  type ModelRunner,
  openRepository,
  type Row,
  type SessionPort,
  sessionModel,
} from '@shoal/models';
import type { Runtime } from '@shoal/onnxruntime';
import { ROOT } from '../root.js';

/** Copies of models, which get their students as variants. */
export const STUDENTS_DIR = join(ROOT, '.shoal/bench/students');

/** Starts over from what lies at `source`. */
export function copyModel(name: string, source: string): void {
  const folder = join(STUDENTS_DIR, name);
  if (existsSync(folder)) rmSync(folder, { recursive: true });
  mkdirSync(folder, { recursive: true });
  cpSync(source, join(folder, '1'), { recursive: true });
}

export async function variantOf(name: string, variant: string): Promise<Model> {
  const { models, problems } = await openRepository(STUDENTS_DIR);
  const model = models.find((one) => one.name === name && one.variant === variant);
  if (model === undefined) throw new Error(`${name} has no variant ${variant}: ${problems[0]?.message ?? ''}`);
  return model;
}

export class Served {
  /** Rows that a cascade's teacher answered. */
  escalated = 0;

  private constructor(
    readonly model: Model,
    readonly joining: string,
    private readonly runner: ModelRunner,
  ) {}

  static async open(runtime: Runtime, model: Model): Promise<Served> {
    const session = await runtime.createSession(sessionModel(model.variants[model.variant]!));
    const device = { runtimeVersion: runtime.version, device: 'cpu', deviceOptions: {} };
    const { joining } = await findJoining(model, session, { ...device, now: () => performance.now() });
    const watched: SessionPort = {
      run: async (feeds, options) => {
        const outputs = await session.run(feeds, options);
        for (const row of (outputs.escalated?.data as Uint8Array | undefined) ?? []) served.escalated += row;
        return outputs;
      },
      release: () => session.release(),
    };
    const served: Served = new Served(model, joining.rows, loadRunner(model, watched, joining));
    return served;
  }

  /** Batches of rows, neighbours by length, and where each row was. */
  async prepare(
    texts: readonly string[],
    size: number,
  ): Promise<{ readonly batches: Row[][]; readonly places: number[] }> {
    const face = await createModelFace(this.model);
    const rows: Row[] = [];
    for (let from = 0; from < texts.length; from += MAX_ITEMS) {
      const input = texts.slice(from, from + MAX_ITEMS);
      const { items, parameters } = await face.encode({ input, parameters: { truncate: true } });
      rows.push(...items.map((item) => ({ item, parameters })));
    }
    const places = rows.map((_, n) => n).sort((a, b) => lengthOf(rows[a]!.item) - lengthOf(rows[b]!.item));
    const batches: Row[][] = [];
    for (let from = 0; from < places.length; from += size) {
      batches.push(places.slice(from, from + size).map((n) => rows[n]!));
    }
    return { batches, places };
  }

  async run(batches: readonly Row[][]): Promise<void> {
    for (const batch of batches) await this.runner.run(batch);
  }

  async outputs(texts: readonly string[]): Promise<readonly WireOutput[]> {
    const { batches, places } = await this.prepare(texts, 32);
    const outputs = new Array<WireOutput>(texts.length);
    let at = 0;
    for (const batch of batches) {
      for (const output of await this.runner.run(batch)) {
        if (output instanceof Error) throw output;
        outputs[places[at]!] = output;
        at += 1;
      }
    }
    return outputs;
  }

  async close(): Promise<void> {
    await this.runner.close();
  }
}

function lengthOf(item: WireItem): number {
  return item.kind === 'text' ? item.ids.length : 0;
}
