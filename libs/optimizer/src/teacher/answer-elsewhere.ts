/**
 * Answers computed elsewhere, by a model that has the same name, version and variant. That it is the same model is seen by what it
 * answers: the first questions of each page are asked here as well. Answers of another model are not learnt from.
 */
import type { WireOutput } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import { Stale } from '../stale.js';
import type { AnswerHere } from './answer-here.js';
import { outputsOfRows, rowsOfOutputs } from './answer-rows.js';
import type { AnswerSource, Elsewhere, Given, Page } from './types.js';

/** Pages under way at once. Of 1,000 texts each they keep a hundred workers in work, and their results take 32 MiB of Redis at most. */
const WIDTH = 4;
/** Questions of each page that are asked here as well. */
const CHECKED = 8;
/** Largest distance of what is the same, as a share of its length: other processors and devices round otherwise, and by less. */
const SAME = 0.01;

export class AnswerElsewhere implements AnswerSource {
  readonly width = WIDTH;
  readonly #model: Model;
  readonly #elsewhere: Elsewhere;
  readonly #here: AnswerHere;
  /** Passes here are made one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(model: Model, elsewhere: Elsewhere, here: AnswerHere) {
    this.#model = model;
    this.#elsewhere = elsewhere;
    this.#here = here;
  }

  /** @throws Stale where another model has answered */
  async answer(page: Page): Promise<Given> {
    let distance = 0;
    // What another model has answered before may still be there under this key: it is forgotten, and asked for anew.
    for (let attempt = 0; attempt < 2; attempt++) {
      const { rows, taken } = await this.#elsewhere.answer(page);
      const outputs = outputsOfRows(rows, page.items);
      distance = await this.#distance(page, outputs);
      if (distance <= SAME) return { outputs, taken };
      taken();
    }
    const { name, version, variant, folder } = this.#model;
    const percent = (share: number) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
    throw new Stale(
      `${this.#elsewhere.name} serves another ${name}@${version}:${variant} than ${folder} has: to the same texts it answers ${percent(distance)} apart, and ${percent(SAME)} may be rounding; put the same files there, or leave out --teacher`,
    );
  }

  async close(): Promise<void> {
    await this.#here.close();
  }

  async #distance({ items, resolved }: Page, outputs: readonly WireOutput[]): Promise<number> {
    const first = { items: items.slice(0, CHECKED), resolved };
    const own = this.#turn.then(() => this.#here.answer(first));
    this.#turn = own.catch(() => undefined);
    return distanceOf((await own).outputs, outputs.slice(0, CHECKED));
  }
}

/** Length of the difference by length of the first; infinite where they are not of one form. */
function distanceOf(own: readonly WireOutput[], theirs: readonly WireOutput[]): number {
  const [a, b] = [rowsOfOutputs(own), rowsOfOutputs(theirs)];
  const alike = a.kind === b.kind && a.width === b.width && a.values.length === b.values.length;
  if (!alike) return Number.POSITIVE_INFINITY;
  let [apart, length] = [0, 0];
  for (const [n, value] of a.values.entries()) {
    apart += (value - b.values[n]!) ** 2;
    length += value ** 2;
  }
  return apart === 0 ? 0 : Math.sqrt(apart / length);
}
