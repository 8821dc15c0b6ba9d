/** Contestants take turns, round by round, so that what else the machine does falls on all of them alike. */
import type { Measure } from './measure.js';
import { median } from './statistics.js';

export type Contestants<Name extends string> = Readonly<Record<Name, () => Promise<Measure>>>;

/** Measurements of each contestant, by round. */
export type Results<Name extends string> = Readonly<Record<Name, readonly Measure[]>>;

export interface Spread {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

/** Every contestant once per round; the one that begins changes from round to round. */
export async function playRounds<Name extends string>(
  contestants: Contestants<Name>,
  rounds: number,
  say: (line: string) => void,
): Promise<Results<Name>> {
  const names = Object.keys(contestants) as Name[];
  const results = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Measure[]>;
  for (let round = 0; round < rounds; round++) {
    for (let n = 0; n < names.length; n++) {
      const name = names[(n + round) % names.length]!;
      results[name].push(await contestants[name]());
    }
    say(
      `  round ${round + 1} of ${rounds}: ${names.map((name) => `${name} ${brief(results[name][round]!)}`).join(', ')}`,
    );
  }
  return results;
}

function brief({ rate, cpuMs }: Measure): string {
  return `${rate.toPrecision(3)}/s (${cpuMs.toPrecision(3)} ms CPU)`;
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), lowest: Math.min(...values), highest: Math.max(...values) };
}

/** How much faster `of` was than `to`, each round by itself: neighbours in time share their disturbances. */
export function speedRatio(of: readonly Measure[], to: readonly Measure[]): Spread {
  return spread(of.map(({ rate }, round) => rate / to[round]!.rate));
}

/** The same by CPU time per item, which other programs on the machine hardly change. */
export function cpuRatio(of: readonly Measure[], to: readonly Measure[]): Spread {
  return spread(of.map(({ cpuMs }, round) => to[round]!.cpuMs / cpuMs));
}
