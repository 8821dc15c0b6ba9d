/** What a worker should load and unload next. Pure: what there is, what is wished and what has work is passed in. */
import { type Aliases, expectedModels, isUnloaded, type Model, type ModelWishes } from '@shoal/models';

/** A model in memory. */
export interface LoadedModel {
  readonly model: Model;
  /** Bytes that it takes. */
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
  /** Queues that have unfinished jobs. */
  readonly busy: ReadonlySet<string>;
  /** Models that did not load. */
  readonly failed: ReadonlySet<Model>;
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

export function planModels(situation: Situation): Plan {
  const { models, aliases, wishes, loaded, busy, failed } = situation;
  const served = models.filter((model) => !failed.has(model));
  const expected = expectedModels(served, aliases, wishes);
  const over = [...loaded].filter(([queue, own]) => isOver(queue, own, situation, expected)).map(([queue]) => queue);
  if (over.length > 0) return { unload: over, load: undefined };
  // Those with work first: one that was unloaded finishes what it had taken before.
  const missing = served.filter(({ queue }) => !loaded.has(queue));
  const wanted = [
    ...missing.filter(({ queue }) => busy.has(queue)),
    ...missing.filter((model) => !busy.has(model.queue) && expected.has(model)),
  ];
  for (const model of wanted) {
    const victims = makeRoom(model, situation, expected);
    if (victims?.length === 0) return { unload: [], load: model };
    if (victims !== undefined) return { unload: victims, load: undefined };
  }
  return { unload: [], load: undefined };
}

function isOver(queue: string, own: LoadedModel, situation: Situation, expected: ReadonlySet<Model>): boolean {
  const now = situation.models.find((model) => model.queue === queue);
  // Its files are others now: what waits is for these.
  if (now !== undefined && now !== own.model) return true;
  if (situation.busy.has(queue)) return false;
  if (now === undefined || isUnloaded(now, situation.wishes)) {
    return Math.min(own.idleMs, own.unwantedMs) >= LINGER_MS;
  }
  return !expected.has(now) && own.idleMs >= situation.keepMs;
}

/** Whom to unload for it, least recently used first; undefined: there is no room, and nobody who would make way. */
function makeRoom(
  model: Model,
  { loaded, busy, limit, bytesOf }: Situation,
  expected: ReadonlySet<Model>,
): string[] | undefined {
  const urgent = busy.has(model.queue);
  const rank = (own: LoadedModel) => (busy.has(own.model.queue) ? 2 : expected.has(own.model) ? 1 : 0);
  const victims = [...loaded.values()]
    .filter((own) => (urgent ? rank(own) < 2 || own.loadedMs >= TURN_MS : rank(own) === 0))
    .sort((a, b) => rank(a) - rank(b) || b.idleMs - a.idleMs || b.loadedMs - a.loadedMs);
  let over = [...loaded.values()].reduce((sum, { bytes }) => sum + bytes, 0) + bytesOf(model) - limit;
  const unload: string[] = [];
  for (const own of victims) {
    if (over <= 0) break;
    over -= own.bytes;
    unload.push(own.model.queue);
  }
  return over <= 0 ? unload : undefined;
}
