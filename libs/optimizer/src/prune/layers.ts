/** Leaves out layers that change little, and lets those before them do what they did. */
import { join } from 'node:path';
import type { Candidate, Context, Made, Method, Subject } from '../types.js';
import type { Anatomy } from './anatomy.js';
import { lossOf } from './choice.js';
import { keepLayers, type Parts } from './edits.js';
import { influences } from './influence.js';
import { observeRepairs, type Repair, repaired, unrepairable } from './repair.js';
import { type Opened, observedOf, open, openOrThrow, withTrials, write } from './subject.js';
import { wiresOf } from './wires.js';

/** Of layers that could go next, so many are tried: those of least influence. */
const TRIED = 3;
/** Pulls of the ridge that are tried; see `solverOf`. */
const PULLS = [1e-3, 1e-1];
/** A decoder that lost more than an eighth of its depth does not come back without training. */
const DECODER_SHARE = 1 / 8;

export const layers: Method = {
  name: 'layers',
  description: 'leaves out layers that change little, and lets the layers before them do what they did',

  async plan(subject) {
    const opened = open(subject);
    if (typeof opened === 'string') return opened;
    const { anatomy } = opened;
    const counts = keptCounts(subject.original.task === 'text-generation', anatomy);
    if (counts.length === 0) return `it has no layer that could go: ${anatomy.layers} in all`;
    return counts.map((kept): Candidate => {
      return {
        method: 'layers',
        variant: `layers${kept}`,
        settings: { layers: kept },
        seconds: secondsOfLayers(kept, opened),
      };
    });
  },

  async make(candidate, subject, path, context): Promise<Made> {
    const { parts, made } = await pruneLayers(Number(candidate.settings.layers), subject, path, context);
    write(subject, parts, path);
    return made;
  },
};

/** What `pruneLayers` takes, roughly. */
export function secondsOfLayers(kept: number, { served, anatomy }: Opened): number {
  const numbers = [...served.weights.tensors.values()].reduce((sum, { count }) => sum + count, 0);
  const trials = TRIED * (anatomy.layers - kept) + 2 + 2 * PULLS.length;
  // A trial is 300 texts through both models, at some ten billion products a second.
  return Math.ceil(10 + trials * (2 + (300 * 40 * 2 * numbers) / 1e10));
}

/** A model with fewer layers, and what was done to it. */
export interface PrunedLayers {
  readonly parts: Parts;
  readonly made: Made;
}

function keptCounts(decoder: boolean, { layers: all, fixed }: Anatomy): readonly number[] {
  const least = Math.max(1, fixed.size);
  if (decoder) {
    const most = Math.max(1, Math.floor(all * DECODER_SHARE));
    return [...new Set([all - most, all - Math.ceil(most / 2)])].filter((kept) => kept >= least);
  }
  const counts = [1 / 2, 3 / 4, 1 / 4].map((share) => Math.ceil(all * share));
  return [...new Set(counts)].filter((kept) => kept < all && kept >= least);
}

/**
 * The model with `kept` of its layers, those that lose least on the choice part. What is tried is written to a folder beside `path`,
 * which is gone then.
 *
 * @throws ShoalError where it cannot be pruned, or as compare; the signal's reason
 */
export async function pruneLayers(
  kept: number,
  subject: Subject,
  path: string,
  context: Context,
): Promise<PrunedLayers> {
  const { served, anatomy } = openOrThrow(subject);
  const wires = wiresOf(served, anatomy);
  const observed = await observedOf(served, subject, context);
  const influence = await influences(observed, wires, anatomy.width);
  const count = anatomy.layers - kept;
  return await withTrials(path, async (folder) => {
    const trial = join(folder, 'model.onnx');
    const lossWithout = async (dropped: readonly number[], parts: Parts = served) => {
      context.signal.throwIfAborted();
      write(subject, keepLayers(parts, anatomy, remaining(anatomy, dropped)), trial);
      return await lossOf(subject, trial, context);
    };
    let done = 0;
    const all = TRIED * count + 2 + 2 * PULLS.length;
    const progress = () => {
      done += 1;
      context.onProgress(Math.min(1, done / all));
    };
    const sets = [await greedy(), contiguous(influence, anatomy, count)];
    let best: { loss: number; dropped: readonly number[]; parts: Parts; pull: number | undefined } | undefined;
    const seen = new Set<string>();
    for (const dropped of sets) {
      if (dropped === undefined || seen.has(dropped.join())) continue;
      seen.add(dropped.join());
      const repairs = await observeRepairs(observed, anatomy, wires, dropped);
      for (const pull of [undefined, ...(repairs.length === 0 ? [] : PULLS)]) {
        const parts = pull === undefined ? served : repairedOr(served, anatomy, repairs, pull);
        if (parts === undefined) continue;
        const loss = await lossWithout(dropped, parts);
        progress();
        if (best === undefined || loss < best.loss) best = { loss, dropped, parts, pull };
      }
    }
    const { dropped, parts, pull, loss } = best!;
    const left = remaining(anatomy, dropped);
    const made: Made = {
      method: `layers ${left.join(' ')}${pull === undefined ? '' : ', those before a gap refitted'}`,
      notes: [
        `left out: ${dropped.join(', ')} of ${anatomy.layers} layers; ${loss.toFixed(4)} lost on the texts that chose them`,
        ...notRepaired(anatomy),
      ],
    };
    return { parts: keepLayers(parts, anatomy, left), made };

    /** Takes away one layer after the other, each time the one whose loss is least. */
    async function greedy(): Promise<readonly number[]> {
      let gone: readonly number[] = [];
      while (gone.length < count) {
        let least: { loss: number; dropped: readonly number[] } | undefined;
        for (const layer of nextToTry(influence, anatomy, gone)) {
          const dropped = [...gone, layer].sort((a, b) => a - b);
          const loss = await lossWithout(dropped);
          progress();
          if (least === undefined || loss < least.loss) least = { loss, dropped };
        }
        if (least === undefined) break;
        gone = least.dropped;
        context.say(`without layers ${gone.join(', ')}: ${least.loss.toFixed(4)} lost`);
      }
      return gone;
    }
  });
}

function remaining({ layers: all }: Anatomy, dropped: readonly number[]): readonly number[] {
  return Array.from({ length: all }, (_, n) => n).filter((n) => !dropped.includes(n));
}

/** By how much states change over the gap that there would be. */
function nextToTry(
  influence: readonly (readonly number[])[],
  anatomy: Anatomy,
  gone: readonly number[],
): readonly number[] {
  const gap = (layer: number) => {
    let [from, to] = [layer, layer];
    while (gone.includes(from - 1)) from -= 1;
    while (gone.includes(to + 1)) to += 1;
    return influence[to - from]![from]!;
  };
  return remaining(anatomy, gone)
    .filter((layer) => !anatomy.fixed.has(layer))
    .sort((a, b) => gap(a) - gap(b))
    .slice(0, TRIED);
}

/** The run of layers over which states change least. */
function contiguous(
  influence: readonly (readonly number[])[],
  { fixed }: Anatomy,
  count: number,
): readonly number[] | undefined {
  const row = influence[count - 1] ?? [];
  const runs = row.map((angle, from) => ({ angle, run: Array.from({ length: count }, (_, n) => from + n) }));
  const possible = runs.filter(({ run }) => !run.some((layer) => fixed.has(layer)));
  return possible.sort((a, b) => a.angle - b.angle)[0]?.run;
}

/** Undefined where the texts do not suffice for it. */
function repairedOr(parts: Parts, anatomy: Anatomy, repairs: readonly Repair[], pull: number): Parts | undefined {
  try {
    return repaired(parts, anatomy, repairs, pull);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function notRepaired(anatomy: Anatomy): readonly string[] {
  const why = unrepairable(anatomy);
  return why === undefined ? [] : [`no layer was refitted: ${why}`];
}
