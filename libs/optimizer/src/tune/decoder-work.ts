/** Passes of a decoder as its engine makes them: one text alone, several of different lengths together, and a part of a prompt. */
import { setImmediate } from 'node:timers/promises';
import { ShoalError } from '@shoal/contracts';
import { DecoderPasses, decoderSession, KvCache } from '@shoal/generation';
import { type Model, readDecoderInfo, sessionModel } from '@shoal/models';
import type { Session } from '@shoal/onnxruntime';
import { readsTwoWays } from './attention.js';
import { sessionsFor } from './memory.js';
import { decoderSpace, type SessionSetting } from './space.js';
import type { Work, WorkOptions } from './work.js';

/** Texts at once, where there are several. */
const ROWS = 8;
/** Tokens of a prompt that one pass takes. */
const CHUNK = 64;
/** Tokens before the new one: of a text alone, and of the last of several; the others have fewer. */
const PAST = 128;
/** Ms that each of the three kinds of passes takes with the defaults on a quiet machine. */
const PART_MS = 80;
const MOST_PASSES = 200;
/** Elements of a typed array, with room to spare. */
const MOST_ELEMENTS = 2 ** 30;

interface Opened {
  readonly session: Session;
  readonly passes: DecoderPasses;
}

type Kind = 'alone' | 'together' | 'prompt';
const KINDS = ['alone', 'together', 'prompt'] as const;

/** @throws ShoalError where the model does not load or run */
export async function decoderWork(model: Model, options: WorkOptions): Promise<Work<SessionSetting>> {
  const { cores, runtime, now, cpu } = options;
  const path = model.variants[model.variant]!;
  const info = readDecoderInfo(path);
  if (info === undefined)
    throw new ShoalError('model_invalid', `${path} does not say how it generates: import it again`);
  const defaults: SessionSetting = { threads: cores, spinning: true, flashAttention: false, cpuArena: true };
  // Padding beside longer rows is written behind a row's end.
  const capacity = info.maxContext + CHUNK;
  const rows = Math.max(1, Math.min(ROWS, Math.floor(MOST_ELEMENTS / (info.kvHeads * capacity * info.headDim))));
  const chunk = Math.min(CHUNK, info.maxContext);
  const past = Math.max(0, Math.min(PAST, info.maxContext - 1));
  const ids = Array.from({ length: chunk }, (_, n) => (7 * n + 1) % info.vocabulary);
  const oneMore = (before: number) => ({ past: before, ids: [ids[before % chunk]!], wanted: 1 });
  const forward: Readonly<Record<Kind, (passes: DecoderPasses) => Promise<unknown>>> = {
    alone: (passes) => passes.forward([oneMore(past)]),
    together: (passes) =>
      passes.forward(Array.from({ length: rows }, (_, row) => oneMore(Math.floor((past * (row + 1)) / rows)))),
    prompt: (passes) => passes.forward([{ past: 0, ids, wanted: 1 }]),
  };
  const sessions = await sessionsFor<Opened>(model, async ({ session, passes }) => {
    await passes.release();
    await session.release();
  });
  // One for all: only one of them runs at a time, and what is in it does not matter.
  let cache: KvCache | undefined;
  const openedFor = (setting: SessionSetting) =>
    sessions.get(JSON.stringify(setting), async () => {
      const session = await runtime.createSession(sessionModel(path), decoderSession(setting));
      try {
        cache ??= new KvCache(session, info, { rows, capacity });
        // As in the engine, which has a thread of its own: passes take the one that calls.
        const passes = new DecoderPasses(session, info, cache, { blocking: true });
        // The first passes of a session plan and allocate.
        for (const kind of KINDS) await forward[kind](passes);
        return { session, passes };
      } catch (error) {
        await session.release();
        throw error;
      }
    });
  const timeOf = async (kind: Kind, { passes }: Opened, count: number) => {
    const started = now();
    for (let n = 0; n < count; n++) await forward[kind](passes);
    return now() - started;
  };
  try {
    const first = await openedFor(defaults);
    const counts: Record<Kind, number> = { alone: 1, together: 1, prompt: 1 };
    for (const kind of KINDS) {
      // The better of two: what disturbs one of them would make the part too small.
      const ms = Math.min(await timeOf(kind, first, 2), await timeOf(kind, first, 2)) / 2;
      counts[kind] = Math.max(1, Math.min(MOST_PASSES, Math.round(PART_MS / Math.max(ms, 1e-3))));
    }
    return {
      space: decoderSpace({ cores, twoAttentions: readsTwoWays(path) }, defaults),
      what: `${counts.alone} tokens of one text, ${counts.together} of ${rows} texts each, ${counts.prompt} prompts of ${chunk} tokens`,
      async measure(setting) {
        const opened = await openedFor(setting);
        const started = setting.threads === 1 ? cpu?.() : undefined;
        let ms = 0;
        for (const kind of KINDS) ms += await timeOf(kind, opened, counts[kind]);
        const cpuMs = started === undefined ? null : cpu!() - started;
        // Passes hold the thread: a signal is heard now.
        await setImmediate();
        return { ms, cpuMs };
      },
      renew: () => sessions.close(),
      close: () => sessions.close(),
    };
  } catch (error) {
    await sessions.close();
    throw error;
  }
}
