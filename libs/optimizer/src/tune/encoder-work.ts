/** Texts of many lengths through a model that answers in one forward pass, as many at once and batched as a worker does it under load. */
import { BATCH_OVERHEAD_MS, type Candidate, calibrate, selectBatch } from '@shoal/batching';
import type { Joining } from '@shoal/contracts';
import {
  encoderSession,
  findJoining,
  loadRunner,
  type Model,
  type ModelRunner,
  measuredPass,
  type Row,
  sessionModel,
  syntheticRow,
} from '@shoal/models';
import { readsTwoWays } from './attention.js';
import { sessionsFor } from './memory.js';
import { type EncoderSetting, encoderSpace, type SessionSetting } from './space.js';
import type { Taken, Work, WorkOptions } from './work.js';

/** What a worker's session is where nothing was tuned. */
const DEFAULTS: SessionSetting = { threads: 1, spinning: false, flashAttention: true, cpuArena: true };
/** In tokens; cut to what the model takes. */
const [SHORTEST, LONGEST] = [8, 128];
/** Ms that the work takes with the defaults on a quiet machine, unless the largest batches need more. */
const WORK_MS = 120;
const MOST_TEXTS = 20_000;
/** Ms that measuring the default limits takes, as in a worker. */
const CALIBRATE_MS = 3000;
/** Texts of a micro-batch at most, where shoal.json does not say: as a worker has it. */
const MAX_BATCH_SIZE = 64;
/** Ms of a forward pass beyond which everything behind it waits too long: see calibrate. */
const MAX_BATCH_MS = 200;
/** Batches that wait beside those that run: see a worker's encoder engine. */
const WAITING_BATCHES = 3;

interface Text extends Candidate {
  readonly row: Row;
}

/** @throws ShoalError where the model does not load or run */
export async function encoderWork(model: Model, options: WorkOptions): Promise<Work<EncoderSetting>> {
  const { cores, runtime, now, cpu } = options;
  const path = model.variants[model.variant]!;
  const sessions = await sessionsFor<ModelRunner>(model, (runner) => runner.close());
  let joining: Joining | undefined;
  const runnerFor = ({ threads, spinning, flashAttention, cpuArena }: SessionSetting) =>
    sessions.get(JSON.stringify([threads, spinning, flashAttention, cpuArena]), async () => {
      const made = encoderSession({ threads, spinning, flashAttention, cpuArena });
      const session = await runtime.createSession(sessionModel(path), made);
      try {
        joining ??= (
          await findJoining(model, session, {
            ...{ cacheDir: options.cacheDir, runtimeVersion: runtime.version, device: 'cpu', deviceOptions: {}, now },
          })
        ).joining;
        const runner = loadRunner(model, session, joining);
        // The first pass of a session plans and allocates.
        await runner.run([syntheticRow(runner, lengthOf(model, 0), 0)]);
        return runner;
      } catch (error) {
        await session.release();
        throw error;
      }
    });
  try {
    const runner = await runnerFor(DEFAULTS);
    const { rows } = runner.joining;
    const limits = model.shoal.limits ?? {};
    const maxBatchSize = rows === 'alone' ? 1 : (limits.max_batch_size ?? MAX_BATCH_SIZE);
    const maxLength = model.text!.maxTokens;
    const lanes = Math.max(1, Math.min(cores, options.passes));
    const pass = measuredPass(runner, { sideBySide: lanes, byCpuTime: cpu !== undefined, now });
    const found = await calibrate({ pass, maxBatchSize, maxLength, budgetMs: CALIBRATE_MS });
    const space = encoderSpace({
      ...{ cores, maxLength, twoAttentions: readsTwoWays(path) },
      defaults: {
        ...DEFAULTS,
        maxBatchTokens: limits.max_batch_tokens ?? found.maxBatchTokens,
        passTokens: found.passTokens,
      },
      mostTokens: (found.tokensPerSecond / 1000) * MAX_BATCH_MS,
      limitIsFree: maxBatchSize > 1 && limits.max_batch_tokens === undefined,
      anyLength: rows === 'any-length',
    });
    const largest = Math.max(
      0,
      ...space.factors.flatMap(({ options: all }) => all.map(({ maxBatchTokens = 0 }) => maxBatchTokens)),
    );
    const tokens = Math.max(lanes * largest, (found.tokensPerSecond / 1000) * WORK_MS * lanes);
    const texts = textsOf(runner, tokens);
    return {
      space,
      what: `${texts.length} texts of ${SHORTEST} to ${Math.min(LONGEST, maxLength)} tokens`,
      async measure(setting) {
        const own = await runnerFor(setting);
        const side = Math.max(1, Math.min(Math.floor(cores / setting.threads), options.passes));
        const cpuOfOne = setting.threads === 1 ? cpu : undefined;
        return await runAll(own, texts, { ...setting, maxBatchSize, lanes: side, cores, now, cpu: cpuOfOne });
      },
      renew: () => sessions.close(),
      close: () => sessions.close(),
    };
  } catch (error) {
    await sessions.close();
    throw error;
  }
}

interface RunOptions extends EncoderSetting {
  readonly maxBatchSize: number;
  /** Passes at once. */
  readonly lanes: number;
  readonly cores: number;
  readonly now: () => number;
  /** Undefined where it does not tell. */
  readonly cpu: (() => number) | undefined;
}

/**
 * What all texts take of a machine that is kept busy: what passes took by how many there were at once, and what each batch costs
 * beside its pass. (Not until the last one ended: how the end comes out is chance, and under load there is none.)
 */
async function runAll(runner: ModelRunner, texts: readonly Text[], options: RunOptions): Promise<Taken> {
  const { lanes, cores, now, cpu, maxBatchSize, maxBatchTokens, passTokens } = options;
  const limits = { maxBatchSize, maxBatchTokens, passTokens, maxDelayMs: 0 };
  const room = (lanes + WAITING_BATCHES) * maxBatchTokens;
  const mostWaiting = (lanes + WAITING_BATCHES) * maxBatchSize;
  let waiting: Text[] = [];
  let [next, tokens, batches, busyMs] = [0, 0, 0, 0];
  const lane = async () => {
    for (;;) {
      while (next < texts.length && (waiting.length === 0 || (tokens < room && waiting.length < mostWaiting))) {
        tokens += texts[next]!.length;
        waiting.push(texts[next++]!);
      }
      if (waiting.length === 0) return;
      const { items } = selectBatch(waiting, limits);
      const chosen = new Set(items);
      waiting = waiting.filter((text) => !chosen.has(text));
      tokens -= items.reduce((sum, { length }) => sum + length, 0);
      batches++;
      const started = now();
      const outputs = await runner.run(items.map(({ row }) => row));
      busyMs += now() - started;
      const failure = outputs.find((output) => output instanceof Error);
      if (failure) throw failure;
    }
  };
  const started = cpu?.();
  await Promise.all(Array.from({ length: lanes }, lane));
  const besideMs = (batches * BATCH_OVERHEAD_MS) / cores;
  return {
    ms: busyMs / lanes + besideMs,
    cpuMs: started === undefined ? null : (cpu!() - started) / lanes + besideMs,
  };
}

/** Of as many tokens, in an order of lengths that looks like none. */
function textsOf(runner: ModelRunner, tokens: number): Text[] {
  const texts: Text[] = [];
  for (let n = 0, sum = 0; sum < tokens && n < MOST_TEXTS; n++) {
    const length = lengthOf(runner.model, n);
    const row = syntheticRow(runner, length, n);
    texts.push({ row, length, order: n, group: runner.groupKey(row.item), alone: false });
    sum += length;
  }
  return texts;
}

/** Spread evenly over their logarithms: multiples of the golden section come near to every share (Weyl). */
function lengthOf({ text }: Model, n: number): number {
  const longest = Math.min(LONGEST, text!.maxTokens);
  const shortest = Math.min(SHORTEST, longest);
  const share = ((n + 1) * ((Math.sqrt(5) - 1) / 2)) % 1;
  return Math.round(shortest * (longest / shortest) ** share);
}
