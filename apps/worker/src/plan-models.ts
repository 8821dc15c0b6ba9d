/** What a worker should load and unload next. Pure: what there is, what is wished and what has work is passed in. */
import { type Aliases, expectedModels, isUnloaded, type Model, type ModelWishes } from '@shoal/models';

/** A model in memory. */
export interface LoadedModel {
  readonly model: Model;
  /** Bytes that it takes, those included that are kept for its cache. */
  readonly bytes: number;
  /** Since it was loaded, in ms, and since it last had work. */
  readonly loadedMs: number;
  readonly idleMs: number;
  /** Since its folder has gone, or it was to be unloaded; 0 where neither is so. */
  readonly unwantedMs: number;
}

export interface Situation {
  /** Those that this worker may serve, in the repository's order. */
  readonly models: readonly Model[];
  readonly aliases: Aliases;
  readonly wishes: ModelWishes;
  /** By queue. */
  readonly loaded: ReadonlyMap<string, LoadedModel>;
  /** What is being loaded; nothing else is meanwhile. */
  readonly loading: Model | undefined;
  /** Queue → bytes of those that are being unloaded. */
  readonly leaving: ReadonlyMap<string, number>;
  /** Queues that have unfinished jobs. */
  readonly busy: ReadonlySet<string>;
  /** Queues that an API would give jobs to if a worker had ever loaded them. */
  readonly hopedFor: ReadonlySet<string>;
  /** Models that did not load, and those of them that may be tried again now. */
  readonly failed: ReadonlySet<Model>;
  readonly due: ReadonlySet<Model>;
  /** Bytes that loaded models may take together. */
  readonly limit: number;
  readonly bytesOf: (model: Model) => number;
  /** How long a model that is not expected stays without work. */
  readonly keepMs: number;
}

/** Unload first: there may be room for more after it. */
export interface Plan {
  /** Queues. */
  readonly unload: readonly string[];
  readonly load: Model | undefined;
}

/** A model that is to go stays for this long: an API replica that has not heard of it may have accepted a job. */
const LINGER_MS = 3000;
/** Where models with work have no room beside each other, each has the memory for this long at least. */
const TURN_MS = 10_000;
const NOTHING: Plan = { unload: [], load: undefined };

export function planModels(situation: Situation): Plan {
  const { models, aliases, wishes, loaded, loading, leaving, busy, hopedFor, failed, due } = situation;
  const able = models.filter((model) => !failed.has(model));
  const expected = expectedModels(able, aliases, wishes);
  // One that is tried again takes its name over when it has loaded; until then the version before stays.
  const hoped = expectedModels(
    models.filter((model) => !failed.has(model) || due.has(model)),
    aliases,
    wishes,
  );
  const kept = new Set([...expected, ...hoped]);
  const over = [...loaded].filter(([queue, own]) => isOver(queue, own, situation, kept)).map(([queue]) => queue);
  const unload = over.length > 0 ? over : relieve(situation, kept);
  if (unload.length > 0) return { unload, load: undefined };
  if (loading !== undefined) return NOTHING;
  const missing = (from: Iterable<Model>) => [...from].filter(({ queue }) => !loaded.has(queue) && !leaving.has(queue));
  // Those with work first: one that was unloaded finishes what it had taken before. What has failed keeps nobody waiting.
  const wanted = [
    ...missing(able).filter(({ queue }) => busy.has(queue)),
    ...missing(able).filter((model) => !busy.has(model.queue) && expected.has(model)),
    ...missing(able).filter(
      (model) =>
        !busy.has(model.queue) && !expected.has(model) && hopedFor.has(model.queue) && !isUnloaded(model, wishes),
    ),
    ...missing(due).filter((model) => busy.has(model.queue) || hoped.has(model)),
  ];
  // As long as it has failed jobs for it are refused, so none asks for it: it is tried where nobody has to go for that.
  const idle = missing(due).filter((model) => !wanted.includes(model) && !isUnloaded(model, wishes));
  for (const model of [...wanted, ...idle]) {
    const room = makeRoom(model, situation, kept);
    if (room === 'soon') return NOTHING;
    if (room !== undefined && room.length > 0 && idle.includes(model)) continue;
    if (room !== undefined) return room.length === 0 ? { unload: [], load: model } : { unload: room, load: undefined };
  }
  return NOTHING;
}

function isOver(queue: string, own: LoadedModel, situation: Situation, kept: ReadonlySet<Model>): boolean {
  const now = current(queue, situation);
  // Its files are others now: what waits is for these.
  if (now !== undefined && now !== own.model) return true;
  if (situation.busy.has(queue)) return false;
  if (now === undefined || isUnloaded(now, situation.wishes)) {
    return Math.min(own.idleMs, own.unwantedMs) >= LINGER_MS;
  }
  return !kept.has(now) && own.idleMs >= situation.keepMs;
}

/** Who goes where loaded models take more than they may: those without work, but for the last one that is there. */
function relieve(situation: Situation, kept: ReadonlySet<Model>): string[] {
  const { loaded, loading, limit, busy, bytesOf } = situation;
  let over = bytesIn(loaded) + (loading === undefined ? 0 : bytesOf(loading)) - limit;
  let left = loaded.size + Number(loading !== undefined);
  const unload: string[] = [];
  for (const own of victims(situation, kept, ({ model }) => !busy.has(model.queue))) {
    if (over <= 0 || left === 1) break;
    over -= own.bytes;
    left--;
    unload.push(own.model.queue);
  }
  return unload;
}

/**
 * Whom to unload for it; `soon`: what is being unloaded makes the room; undefined: there is none, and nobody who would make
 * way.
 */
function makeRoom(model: Model, situation: Situation, kept: ReadonlySet<Model>): string[] | 'soon' | undefined {
  const { loaded, leaving, busy, limit, bytesOf } = situation;
  // Whoever loads it says that it is too large; nobody goes for that.
  if (bytesOf(model) > limit) return [];
  const urgent = busy.has(model.queue);
  let over = bytesIn(loaded) + bytesOf(model) - limit;
  if (over <= 0) {
    const going = [...leaving.values()].reduce((sum, bytes) => sum + bytes, 0);
    return over + going <= 0 ? [] : 'soon';
  }
  const able = (own: LoadedModel) => {
    const rank = rankOf(own, busy, kept);
    return urgent ? rank < 2 || own.loadedMs >= TURN_MS : rank === 0;
  };
  const unload: string[] = [];
  for (const own of victims(situation, kept, able)) {
    if (over <= 0) break;
    over -= own.bytes;
    unload.push(own.model.queue);
  }
  return over <= 0 ? unload : undefined;
}

/** Least recently used first. One whose folder has gone is none: nobody could load it again for the jobs that it still has. */
function victims(
  situation: Situation,
  kept: ReadonlySet<Model>,
  able: (own: LoadedModel) => boolean,
): readonly LoadedModel[] {
  const { loaded, busy } = situation;
  const rank = (own: LoadedModel) => rankOf(own, busy, kept);
  return [...loaded.values()]
    .filter((own) => current(own.model.queue, situation) !== undefined && able(own))
    .sort((a, b) => rank(a) - rank(b) || b.idleMs - a.idleMs || b.loadedMs - a.loadedMs);
}

function rankOf({ model }: LoadedModel, busy: ReadonlySet<string>, kept: ReadonlySet<Model>): 0 | 1 | 2 {
  return busy.has(model.queue) ? 2 : kept.has(model) ? 1 : 0;
}

/** What the folder of a queue's model holds now. */
function current(queue: string, { models }: Situation): Model | undefined {
  return models.find((model) => model.queue === queue);
}

function bytesIn(loaded: Situation['loaded']): number {
  return [...loaded.values()].reduce((sum, { bytes }) => sum + bytes, 0);
}
