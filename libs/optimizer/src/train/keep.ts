/**
 * What of a training is on the disk: where it began, how far it is, what evaluations brought, and the best graph so far. Whenever its
 * process ends, the next one finds all of it as it was at some step.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Made } from '../types.js';
import type { Evaluation } from './types.js';

export class Kept {
  readonly #folder: string;

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
  }

  /** What was done to the original before training; undefined where nothing has begun. Then there is its graph. */
  get made(): Made | undefined {
    return this.#read('begun.json') as Made | undefined;
  }

  /** To be called when the graph of step 0 is there. */
  begin(made: Made): void {
    this.#write('begun.json', made);
  }

  /** Path of the trainer's state. */
  get state(): string {
    return join(this.#folder, 'trainer.state');
  }

  get hasState(): boolean {
    return existsSync(this.state);
  }

  /** Path of the graph as it was after so many steps. */
  graph(step: number): string {
    return join(this.#folder, `graph-${step}.onnx`);
  }

  /** Up to a step: later ones were of steps that have to be made again. */
  evaluations(step: number): Evaluation[] {
    const all = (this.#read('evaluations.json') ?? []) as readonly Evaluation[];
    return all.filter((one) => one.step <= step);
  }

  /** To be called when the graph of each is there that may turn out to be the best, and before the trainer's state is saved. */
  note(evaluations: readonly Evaluation[]): void {
    this.#write('evaluations.json', evaluations);
  }

  /** Removes the graphs of all other steps. To be called when the trainer's state is saved: until then an earlier one may be needed. */
  keepGraphs(...steps: readonly number[]): void {
    for (const name of readdirSync(this.#folder)) {
      const step = /^graph-(\d+)\.onnx/.exec(name)?.[1];
      if (step !== undefined && !steps.includes(Number(step))) rmSync(join(this.#folder, name));
    }
  }

  #read(name: string): unknown {
    const path = join(this.#folder, name);
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
  }

  /** The file is there as a whole or not at all. */
  #write(name: string, value: unknown): void {
    const path = join(this.#folder, name);
    writeFileSync(`${path}.tmp`, JSON.stringify(value), { flush: true });
    renameSync(`${path}.tmp`, path);
  }
}
