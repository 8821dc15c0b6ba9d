/**
 * Requirement T: the tuner beside an exhaustive search of the same settings by the same work, beside a program that takes a core for
 * itself. Searches are made between the rounds of the exhaustive one, so that the machine is as busy in both. What that found and
 * what each search chose then take turns in rounds of their own, until it is told whether they are within 3 % of each other: the
 * best of many medians is flattered by having been picked.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Model, openRepository } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import {
  countSettings,
  cpuTime,
  everySetting,
  type Found,
  type Interval,
  keyOf,
  medianInterval,
  type Setting,
  searchSettings,
  type Taken,
  type Work,
  wordsOfSetting,
  workOf,
} from '@shoal/optimizer';
import { seededRandom } from '@shoal/training';
import { PairedRounds } from './paired-rounds.js';
import { figureRow, type Section } from './report.js';
import { ROOT } from './root.js';
import { median } from './statistics.js';

const MODELS = ['wordnet-topic', 'wordnet-lm'];
/** Of each setting in the exhaustive search: medians of as many are known to some two per cent here. */
const EXHAUSTIVE_ROUNDS = 50;
/** Of each round that was asked for: the usual five make ten runs. */
const RUNS = 2;
/** Share of the exhaustive search's time that a run may take, and time of its choice by that of the best. */
const [SHARE, WITHIN] = [0.2, 1.03];
/** libuv's pool has four threads, one of which is for files. */
const PASSES = 3;
/** Of choices beside the best, and how probable it may be at most that it is told wrongly on which side of `WITHIN` one is. */
const [MOST_COMPARED, ALPHA] = [400, 0.05];

export interface TuneBenchOptions {
  readonly rounds: number;
  /** 1 for a full run; less for fewer rounds of the exhaustive search. */
  readonly scale: number;
  readonly say: (line: string) => void;
}

export async function tuneBench(options: TuneBenchOptions): Promise<Section> {
  const { models } = await openRepository(join(ROOT, 'models'));
  const hog = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
  const sections: Section[] = [];
  try {
    for (const name of MODELS) sections.push(await benchModel(models.find((model) => model.name === name)!, options));
  } finally {
    const ended = once(hog, 'exit');
    hog.kill('SIGKILL');
    await ended;
  }
  return {
    ratios: [],
    figures: sections.flatMap(({ figures }) => figures),
    notes: sections.flatMap(({ notes }) => notes),
  };
}

async function benchModel(model: Model, { rounds, scale, say }: TuneBenchOptions): Promise<Section> {
  const cacheDir = await mkdtemp(join(tmpdir(), 'shoal-tune-bench-'));
  const now = () => performance.now();
  const [cores, runtime] = [availableParallelism(), await openRuntime()];
  const work = await workOf(model, {
    ...{ runtime, cacheDir, cores, passes: Math.min(cores, PASSES), now },
    cpu: process.platform === 'win32' ? undefined : cpuTime,
  });
  try {
    const { space } = work;
    const each = Math.max(5, Math.round(EXHAUSTIVE_ROUNDS * scale));
    const words = (setting: Setting) => wordsOfSetting(setting, space.defaults);
    say(`${model.name}: ${countSettings(space)} settings, ${each} rounds, by ${work.what}`);
    const { best, seconds, runs } = await searchBothWays(work, { each, runs: RUNS * rounds, now, say });
    say(`  all: ${seconds.toFixed(0)} s, best ${words(best)}`);
    const chosen = new Map(runs.map(({ found }) => [keyOf(found.chosen), found.chosen]));
    const compared = await compare(work, best, [...chosen.values()], say);
    const of = ({ found }: Run) => compared.get(keyOf(found.chosen))!;
    const shares = runs.map((run) => run.seconds / seconds);
    const good = runs.filter((run, n) => of(run).best.median <= WITHIN && shares[n]! <= SHARE).length;
    for (const setting of chosen.values()) {
      const { best: own, clock, defaults } = compared.get(keyOf(setting))!;
      const times = runs.filter(({ found }) => keyOf(found.chosen) === keyOf(setting)).length;
      say(
        `  ${words(setting)}, chosen ${times} times: ${told(own)} of the best’s time, ${clock.toFixed(3)} by the clock; ${told(defaults)} of the defaults’`,
      );
    }
    return {
      ratios: [],
      figures: [
        figureRow('T', `${model.name}: time of a run ÷ exhaustive search`, shares, ''),
        figureRow(
          'T',
          `${model.name}: time with its choice ÷ with the best`,
          runs.map((run) => of(run).best.median),
          '',
        ),
        figureRow(
          'T',
          `${model.name}: time with its choice ÷ with the defaults`,
          runs.map((run) => of(run).defaults.median),
          '',
        ),
      ],
      notes: [
        `${model.name}: ${good} of ${runs.length} runs within 3 % of the best of ${countSettings(space)} settings (${words(best)}) in at most 20 % of ${seconds.toFixed(0)} s; chose ${[...chosen.values()].map(words).join('; ')}; load ${loadavg()[0]!.toFixed(1)} on ${cores} cores.`,
      ],
    };
  } finally {
    await work.close();
    await rm(cacheDir, { recursive: true });
  }
}

interface Run {
  readonly found: Found<Setting>;
  readonly seconds: number;
}

interface BothWays {
  /** Of the exhaustive search. */
  readonly each: number;
  readonly runs: number;
  readonly now: () => number;
  readonly say: (line: string) => void;
}

/** An exhaustive search, every setting in every round, and after each part of it a run of the tuner. */
async function searchBothWays({ space, measure, renew }: Work<Setting>, { each, runs: count, now, say }: BothWays) {
  const all = everySetting(space);
  const played = new PairedRounds(measure, seededRandom(21));
  const runs: Run[] = [];
  let seconds = 0;
  for (let run = 0; run < count; run++) {
    const started = now();
    while (played.count < ((run + 1) * each) / count) await played.play(all);
    const between = now();
    seconds += (between - started) / 1000;
    const found = await searchSettings(space, {
      ...{ measure, renew, random: seededRandom(100 + run), now, rounds: each },
      ...{ budgetMs: 3_600_000, signal: new AbortController().signal, onProgress: () => undefined },
    });
    runs.push({ found, seconds: (now() - between) / 1000 });
    const { measurements, chosen, end } = found;
    say(
      `  run ${run + 1}: ${measurements} measurements, ${runs[run]!.seconds.toFixed(1)} s, ${end}: ${wordsOfSetting(chosen, space.defaults)}; ${played.count} rounds of all, ${seconds.toFixed(0)} s`,
    );
  }
  const standings = all.map((setting) => median(played.ratios(setting, space.defaults)));
  return { best: all[standings.indexOf(Math.min(...standings))]!, seconds, runs };
}

interface Compared {
  /** Time by that of the best, and of the defaults. */
  readonly best: Interval;
  readonly defaults: Interval;
  /** By that of the best, by the clock alone. */
  readonly clock: number;
}

/** Each of `settings`, by its key: in rounds with the best and the defaults, until it is told to be within 3 % of the best or not. */
async function compare(
  { measure, space }: Work<Setting>,
  best: Setting,
  settings: readonly Setting[],
  say: (line: string) => void,
): Promise<ReadonlyMap<string, Compared>> {
  const played = new PairedRounds(measure, seededRandom(7));
  const isOpen = (setting: Setting) => {
    const { low, high } = medianInterval(played.ratios(setting, best), ALPHA);
    return keyOf(setting) !== keyOf(best) && low <= Math.log(WITHIN) && high > Math.log(WITHIN);
  };
  for (let open = settings; played.count < MOST_COMPARED && open.length > 0; open = open.filter(isOpen)) {
    // Each once, the best and the defaults in any case.
    await played.play([...new Map([best, space.defaults, ...open].map((one) => [keyOf(one), one])).values()]);
    if (played.count % 20 === 0)
      say(`  beside the best, round ${played.count}: ${open.length} settings are not told yet`);
  }
  const byClock = (one: Taken, other: Taken) => Math.log(one.ms / other.ms);
  return new Map(
    settings.map((setting) => [
      keyOf(setting),
      {
        best: ratioOf(played.ratios(setting, best)),
        defaults: ratioOf(played.ratios(setting, space.defaults)),
        clock: Math.exp(median(played.ratios(setting, best, byClock))),
      },
    ]),
  );
}

/** Of logarithms. */
function ratioOf(logarithms: readonly number[]): Interval {
  const { median: middle, low, high } = medianInterval(logarithms, ALPHA);
  return { median: Math.exp(middle), low: Math.exp(low), high: Math.exp(high) };
}

function told({ median: middle, low, high }: Interval): string {
  return `${middle.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
}
