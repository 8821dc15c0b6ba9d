/**
 * Requirement L: the limits of micro-batches that a worker measures at its start, beside the best of all limits. Workers are
 * started anew, with nothing kept, on a quiet machine and beside a program that takes a core for itself.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BATCH_OVERHEAD_MS } from '@shoal/batching';
import { openRepository } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import { measure } from './measure.js';
import { ENCODER, MAX_TOKENS, MODELS_DIR } from './models.js';
import { OrtAlone, prepare, tokenise } from './ort-alone.js';
import { startShoal } from './processes.js';
import type { Section } from './report.js';
import { spread } from './rounds.js';
import { makeTexts } from './texts.js';

/** Of each round: the usual five rounds make ten starts. */
const STARTS = 2;
/** From the model's longest text on, which a batch holds in any case. */
const LIMITS = [MAX_TOKENS, 512, 1024, 2048, 4096];
const TEXTS = 400;
/** Passes of the reference that take turns. */
const ROUNDS = 6;
/** Share of the best limit's throughput that a start has to reach. */
const WITHIN = 0.97;

export interface LimitsOptions {
  readonly rounds: number;
  /** 1 for a full run; less for fewer texts. */
  readonly scale: number;
  readonly say: (line: string) => void;
}

export async function limitsBench({ rounds, scale, say }: LimitsOptions): Promise<Section> {
  const rates = await rateLimits(Math.round(TEXTS * scale));
  const best = Math.max(...rates.values());
  say(
    `limits: ${[...rates].map(([limit, rate]) => `${limit} tokens ${(rate / best).toFixed(3)}`).join(', ')} of the best`,
  );
  const shareOf = (limit: number) => (rates.get(nearest(limit)) ?? 0) / best;
  const quiet = await startOften('quiet', STARTS * rounds, say);
  const hog = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
  const busy = await startOften('beside a busy core', STARTS * rounds, say).finally(() => end(hog));
  return {
    ratios: [],
    figures: [['quiet', quiet] as const, ['beside a busy core', busy] as const].flatMap(([where, starts]) => [
      {
        requirement: 'L',
        what: `throughput with the limits of a start ÷ with the best, ${where}`,
        value: spread(starts.map(({ limit }) => shareOf(limit))),
        unit: '',
      },
      {
        requirement: 'L',
        what: `until they were measured, ${where}`,
        value: spread(starts.map(({ seconds }) => seconds)),
        unit: 's',
      },
    ]),
    notes: [['Quiet', quiet] as const, ['Beside a busy core', busy] as const].map(([where, starts]) => {
      const good = starts.filter(({ limit }) => shareOf(limit) >= WITHIN).length;
      return `${where}: ${good} of ${starts.length} starts within 3 % of the best; chose ${starts.map(({ limit }) => limit).join(', ')}.`;
    }),
  };
}

/**
 * Items per ms of CPU time with each limit, over texts of 8 to 128 tokens sorted by length, two passes at once: the passes
 * themselves, and what each batch costs beside them.
 */
async function rateLimits(count: number): Promise<Map<number, number>> {
  const model = (await openRepository(MODELS_DIR)).models.find(({ name }) => name === ENCODER)!;
  const ids = await tokenise(model, await makeTexts(count, 8, 128, 5));
  const ort = await OrtAlone.open(await openRuntime(), model);
  const rates = new Map(LIMITS.map((limit) => [limit, 0]));
  try {
    for (let round = 0; round < ROUNDS; round++) {
      for (const limit of LIMITS) {
        const setting = { threads: 1, passes: 2, budget: limit };
        const batches = prepare(ids, setting);
        const { cpuMs } = await measure(ids.length, [], () => ort.run(batches, setting));
        const beside = (BATCH_OVERHEAD_MS * batches.length) / ids.length;
        rates.set(limit, Math.max(rates.get(limit)!, 1 / (cpuMs + beside)));
      }
    }
  } finally {
    await ort.close();
  }
  return rates;
}

/** Workers try sizes of their own, powers of two as these are. */
function nearest(limit: number): number {
  return LIMITS.reduce((best, each) => (Math.abs(each - limit) < Math.abs(best - limit) ? each : best));
}

interface Start {
  readonly limit: number;
  readonly seconds: number;
}

async function startOften(where: string, count: number, say: (line: string) => void): Promise<Start[]> {
  const starts: Start[] = [];
  for (let n = 0; n < count; n++) {
    const cacheDir = await mkdtemp(join(tmpdir(), 'shoal-limits-'));
    try {
      const shoal = await startShoal({
        modelsDir: MODELS_DIR,
        models: [ENCODER],
        workerEnv: { SHOAL_CACHE_DIR: cacheDir },
      });
      const line = shoal.workerLog.find((text) => text.includes('"model.loaded"')) ?? '{}';
      await shoal.stop();
      const { maxBatchTokens, seconds } = JSON.parse(line) as { maxBatchTokens: number; seconds: number };
      starts.push({ limit: maxBatchTokens, seconds });
      say(`  ${where}, start ${n + 1} of ${count}: ${maxBatchTokens} tokens after ${seconds} s`);
    } finally {
      await rm(cacheDir, { recursive: true });
    }
  }
  return starts;
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
