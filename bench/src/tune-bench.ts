/**
 * Requirement T: the tuner beside an exhaustive search of the same settings by the same work, beside a program that takes a core for
 * itself. What the exhaustive search found and what each run of the tuner chose then take turns in rounds of their own: the best of
 * many medians is flattered by having been picked.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Model, openRepository } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import {
  countSettings,
  everySetting,
  type Found,
  Rounds,
  type Setting,
  searchSettings,
  type Work,
  wordsOfSetting,
  workOf,
} from '@shoal/optimizer';
import { figureRow, type Section } from './report.js';
import { ROOT } from './root.js';
import { seededRandom } from './statistics.js';

const MODELS = ['wordnet-topic', 'wordnet-lm'];
/** Of each setting in the exhaustive search: medians of as many are known to some two per cent here. */
const EXHAUSTIVE_ROUNDS = 50;
/** Of each round that was asked for: the usual five make ten runs. */
const RUNS = 2;
/** Share of the exhaustive search's time that a run may take, and time of its choice by that of the best. */
const [SHARE, WITHIN] = [0.2, 1.03];
/** libuv's pool has four threads, one of which is for files. */
const PASSES = 3;

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
  const work = await workOf(model, { runtime, cacheDir, cores, passes: Math.min(cores, PASSES), now });
  try {
    const { space } = work;
    const each = Math.max(5, Math.round(EXHAUSTIVE_ROUNDS * scale));
    const words = (setting: Setting) => wordsOfSetting(setting, space.defaults);
    say(`${model.name}: ${countSettings(space)} settings, ${each} rounds, by ${work.what}`);
    const exhaustive = await searchAll(work, each, seededRandom(21), say);
    say(`  all: ${exhaustive.seconds.toFixed(0)} s, best ${words(exhaustive.best)}`);
    const runs: { readonly found: Found<Setting>; readonly share: number }[] = [];
    for (let run = 0; run < RUNS * rounds; run++) {
      const started = now();
      const found = await searchSettings(space, {
        ...{ measure: work.measure, random: seededRandom(100 + run), now, rounds: each },
        ...{ budgetMs: 3_600_000, signal: new AbortController().signal, onProgress: () => undefined },
      });
      const share = (now() - started) / 1000 / exhaustive.seconds;
      runs.push({ found, share });
      say(
        `  run ${run + 1}: ${found.measurements} measurements, ${(100 * share).toFixed(1)} % of the time, ${words(found.chosen)}`,
      );
    }
    const chosen = runs.map(({ found }) => found.chosen);
    const distances = await compare(work, exhaustive.best, chosen, each);
    const shares = runs.map(({ share }) => share);
    const good = runs.filter((_, n) => distances[n]! <= WITHIN && shares[n]! <= SHARE).length;
    const gain = await compare(work, space.defaults, [exhaustive.best], each);
    return {
      ratios: [],
      figures: [
        figureRow('T', `${model.name}: time of a run ÷ exhaustive search`, shares, ''),
        figureRow('T', `${model.name}: time with its choice ÷ with the best`, distances, ''),
        figureRow('T', `${model.name}: time with the best ÷ with the defaults`, gain, ''),
      ],
      notes: [
        `${model.name}: ${good} of ${runs.length} runs within 3 % of the best of ${countSettings(space)} settings (${words(exhaustive.best)}) in at most 20 % of ${exhaustive.seconds.toFixed(0)} s; chose ${[...new Set(chosen.map(words))].join('; ')}.`,
      ],
    };
  } finally {
    await work.close();
    await rm(cacheDir, { recursive: true });
  }
}

/** Every setting in every round. */
async function searchAll(
  { space, measure }: Work<Setting>,
  rounds: number,
  random: () => number,
  say: (line: string) => void,
): Promise<{ readonly best: Setting; readonly seconds: number }> {
  const all = everySetting(space);
  const played = new Rounds(space.defaults, measure, random);
  const started = performance.now();
  for (let round = 1; round <= rounds; round++) {
    await played.play(all);
    if (round % 5 === 0) say(`  all, round ${round} of ${rounds}`);
  }
  const seconds = (performance.now() - started) / 1000;
  const best = all.reduce((a, b) => (played.standing(b) < played.standing(a) ? b : a));
  return { best, seconds };
}

/** Time with each of `settings` by that with `to`, in rounds in which all of them take turns. */
async function compare(
  { measure }: Work<Setting>,
  to: Setting,
  settings: readonly Setting[],
  rounds: number,
): Promise<number[]> {
  const played = new Rounds(to, measure, seededRandom(7));
  for (let round = 0; round < rounds; round++) await played.play(settings);
  return settings.map((setting) => Math.exp(played.standing(setting)));
}
