/**
 * The models that this worker has loaded, as the repository, the wishes and the work change: each turn looks at all three, and
 * begins to load or unload what planModels says. One that is unloaded is drained: what runs ends and is published. Turns go on
 * meanwhile, so that no model waits for the end of another.
 */
import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { ShoalError } from '@shoal/contracts';
import {
  expectedModels,
  isSameReading,
  isUnloaded,
  type Model,
  NO_ALIASES,
  type Repository,
  selects,
} from '@shoal/models';
import { type ModelBoard, type QueueWork, repeat } from '@shoal/queue';
import { type Logger, logRarely, type WorkerMetrics } from '@shoal/telemetry';
import { LoadFailures } from './load-failures.js';
import { ModelMemory, type Room } from './model-memory.js';
import type { ModelWorker } from './model-worker.js';
import { type LoadedModel, planModels } from './plan-models.js';

const TURN_MS = 500;
/** Between two exchanges with the board. */
const TELL_MS = 1000;

export interface ServedModelsOptions {
  /** Names of the models to serve; all where there are none. */
  readonly names: readonly string[];
  readonly load: (model: Model, room: Room) => Promise<LoadedWorker>;
  readonly board: Pick<ModelBoard, 'exchange' | 'work' | 'state'>;
  /** Bytes that loaded models may take together. */
  readonly memory: number;
  /** How long a model that is not expected to be asked for stays without work, in ms. */
  readonly keepMs: number;
  readonly logger: Logger;
  readonly metrics: Pick<WorkerMetrics, 'modelLoadFailures'>;
  /** Bytes of memory that this process has. */
  readonly resident: () => number;
  /** Ms of a clock that only goes forward. */
  readonly now: () => number;
}

/** A model in memory, with what takes its jobs. */
export type LoadedWorker = Pick<
  ModelWorker,
  'name' | 'connected' | 'heldBytes' | 'reservedBytes' | 'start' | 'stop' | 'reportColdStart'
>;

interface Served {
  readonly model: Model;
  readonly worker: LoadedWorker;
  /** Resolves when it takes jobs, or has failed to. */
  started: Promise<void>;
  readonly bytes: number;
  readonly loadedAt: number;
  /** When it last had work, and the tokens of its queue that had ended by then. */
  usedAt: number;
  tokens: number;
  /** Since when it is to go; undefined: it is not. */
  unwantedAt: number | undefined;
}

export class ServedModels {
  readonly #options: ServedModelsOptions;
  readonly #memory: ModelMemory;
  readonly #failures: LoadFailures;
  #repository: Repository = { models: [], aliases: NO_ALIASES, problems: [] };
  /** By queue. Those that are leaving run what they had begun; until that has ended no other process may think them gone. */
  readonly #served = new Map<string, Served>();
  readonly #leaving = new Map<string, Served>();
  #loading: Model | undefined;
  /** Loads and unloads that are under way. None rejects. */
  readonly #moves = new Set<Promise<void>>();
  /** Of wishes to load, as they were seen last: one that is made again is news. */
  #marks: ReadonlyMap<string, string> = new Map();
  #endTurns: () => Promise<unknown> = async () => {};
  #ready = false;
  #stopping = false;

  constructor(options: ServedModelsOptions) {
    this.#options = options;
    this.#memory = new ModelMemory(options.memory);
    this.#failures = new LoadFailures(options.now);
  }

  /**
   * Loads what is expected to be asked for and has room. Throws the first reason where none of that can be loaded, which
   * where there is nothing to load is no fault: models may come.
   */
  async start(repository: Repository): Promise<void> {
    await this.follow(repository);
    await this.#tell().catch(() => undefined);
    this.#marks = this.#options.board.state.marks;
    // Each is loaded at most once: whoever needs another's place gets it later, however much waits.
    while ((await this.#turn()) === 'load') await Promise.all(this.#moves);
    // At once: of a Redis Cluster, the node of one model may be away.
    await Promise.all([...this.#served.values()].map(({ started }) => started));
    await Promise.all(this.#moves);
    if (this.#served.size === 0 && this.#failures.reason !== undefined) throw this.#failures.reason;
    this.#ready = true;
    // Where Redis is away, which its connections tell, everything stays as it is.
    const stopTelling = repeat(
      TELL_MS,
      () => this.#tell(),
      () => undefined,
    );
    const over = new AbortController();
    const turns = this.#turns(over.signal);
    this.#endTurns = () => {
      over.abort();
      return Promise.all([stopTelling(), turns]);
    };
  }

  /** The repository has changed. */
  async follow(repository: Repository): Promise<void> {
    const { names } = this.#options;
    const known = new Map(this.#repository.models.map((model) => [model.queue, model]));
    const models = repository.models
      .filter(({ name }) => names.length === 0 || names.includes(name))
      .map((model) => {
        // What was measured of it makes it no other model: it stays loaded.
        const own = known.get(model.queue);
        return own !== undefined && isSameReading(own, model) ? own : model;
      });
    const there = new Set(models);
    for (const model of this.#failures.models) if (!there.has(model)) this.#forgetFailure(model);
    await this.#memory.follow(models);
    this.#repository = { ...repository, models };
  }

  /** Whether Redis is reached by all of them. */
  get connected(): boolean {
    return [...this.#served.values()].every(({ worker }) => worker.connected);
  }

  /** `<model>/<version>/<variant>` */
  get names(): string[] {
    return [...this.#served.values()].map(({ worker }) => worker.name);
  }

  /** What is not served, in words. */
  get notes(): string[] {
    return [...this.#failures.models].map((model) => `${pathOf(model)} is not served: it does not load`);
  }

  /** Models that generate text, loaded or likely to be. */
  get generators(): number {
    const all = new Set([...this.#expected(), ...[...this.#served.values()].map(({ model }) => model)]);
    if (this.#loading !== undefined) all.add(this.#loading);
    return Math.max(1, [...all].filter(({ generator }) => generator !== null).length);
  }

  async reportColdStart(seconds: number): Promise<void> {
    await Promise.all([...this.#served.values()].map(({ worker }) => worker.reportColdStart(seconds)));
  }

  /** Drains all of them. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const served of this.#served.values()) this.#unload(served);
    await this.#endTurns();
    // What was being loaded goes as soon as it is there.
    while (this.#moves.size > 0) await Promise.all(this.#moves);
  }

  async #tell(): Promise<void> {
    const queues = [...this.#served.keys(), ...this.#leaving.keys()];
    const { board, names } = this.#options;
    const bounds = names.length > 0 ? { models: names } : {};
    await board.exchange({ role: 'worker', queues, failed: this.#failures.told, ...bounds });
  }

  async #turns(signal: AbortSignal): Promise<void> {
    const report = logRarely(this.#options.logger, 'models.turn_failed', this.#options.now);
    while (!signal.aborted) {
      // Whatever ends makes the next turn.
      await Promise.race([pause(TURN_MS, undefined, { signal, ref: false }).catch(() => undefined), ...this.#moves]);
      if (!signal.aborted) await this.#turn().catch(report);
    }
  }

  /** What it began. */
  async #turn(): Promise<'load' | 'unload' | undefined> {
    const { board, memory, keepMs } = this.#options;
    const { models, aliases } = this.#repository;
    const queues = [...new Set([...this.#served.keys(), ...models.map(({ queue }) => queue)])];
    const work = await board.work(queues);
    if (this.#stopping) return undefined;
    this.#heed(board.state.marks);
    const { unload, load } = planModels({
      ...{ models, aliases, wishes: board.state.wishes, keepMs, limit: memory },
      loaded: this.#look(work),
      loading: this.#loading,
      leaving: new Map([...this.#leaving].map(([queue, { bytes }]) => [queue, bytes])),
      // One whose server does not answer is not unloaded, nor loaded.
      busy: new Set(queues.filter((queue) => (work.get(queue)?.jobs ?? Number(this.#served.has(queue))) > 0)),
      hopedFor: new Set(board.state.processes.flatMap(({ wanted = [] }) => wanted)),
      failed: this.#failures.models,
      due: this.#ready ? this.#failures.due : new Set(),
      bytesOf: (model) => this.#memory.bytesOf(model),
    });
    for (const queue of unload) this.#unload(this.#served.get(queue)!);
    if (load !== undefined) this.#load(load);
    return load !== undefined ? 'load' : unload.length > 0 ? 'unload' : undefined;
  }

  /** How loaded models stand, by queue. */
  #look(work: ReadonlyMap<string, QueueWork>): ReadonlyMap<string, LoadedModel> {
    const at = this.#options.now();
    const { wishes } = this.#options.board.state;
    const offered = new Set(this.#repository.models.filter((model) => !isUnloaded(model, wishes)));
    const loaded = new Map<string, LoadedModel>();
    for (const [queue, served] of this.#served) {
      const { model, bytes, loadedAt } = served;
      const { jobs, tokens } = work.get(queue) ?? { jobs: 1, tokens: served.tokens };
      // What came and went since the last turn counts as well.
      if (jobs > 0 || tokens !== served.tokens) served.usedAt = at;
      served.tokens = tokens;
      served.unwantedAt = offered.has(model) ? undefined : (served.unwantedAt ?? at);
      const unwantedMs = at - (served.unwantedAt ?? at);
      loaded.set(queue, { model, bytes, loadedMs: at - loadedAt, idleMs: at - served.usedAt, unwantedMs });
    }
    return loaded;
  }

  /** Who wishes a model to be loaded that did not load has it tried again. */
  #heed(marks: ReadonlyMap<string, string>): void {
    const news = [...marks].filter(([selector, mark]) => this.#marks.get(selector) !== mark);
    this.#marks = marks;
    this.#failures.hurry((model) => news.some(([selector]) => selects(selector, model)));
  }

  #expected(): ReadonlySet<Model> {
    const { models, aliases } = this.#repository;
    const { models: failed } = this.#failures;
    const able = models.filter((model) => !failed.has(model));
    return expectedModels(able, aliases, this.#options.board.state.wishes);
  }

  #load(model: Model): void {
    this.#loading = model;
    this.#move(async () => {
      const served = await this.#open(model).catch((error: unknown) => this.#fail(model, error));
      this.#loading = undefined;
      if (served === undefined) return;
      this.#served.set(model.queue, served);
      served.started = this.#begin(served);
      if (this.#stopping) this.#unload(served);
    });
  }

  async #open(model: Model): Promise<Served> {
    const { load, resident, now, memory } = this.#options;
    if (this.#memory.leastOf(model) > memory) throw new TooLarge(this.#memory.leastOf(model), memory);
    const room = this.#memory.roomFor(
      model,
      this.#taken,
      [...this.#expected()].filter((other) => !this.#has(other)),
    );
    const others = () => resident() - this.#held;
    const before = others();
    const worker = await load(model, room);
    // Caches of others that grew meanwhile are not its own.
    const bytes = this.#memory.measure(model, others() - before) + worker.reservedBytes;
    const at = now();
    const times = { loadedAt: at, usedAt: at, unwantedAt: undefined };
    return { model, worker, bytes, tokens: 0, ...times, started: Promise.resolve() };
  }

  /** It takes jobs. */
  async #begin(served: Served): Promise<void> {
    const { model, worker } = served;
    try {
      await worker.start();
      this.#forgetFailure(model);
    } catch (error) {
      this.#fail(model, error);
      // Another one may have its place by now.
      if (this.#served.get(model.queue) === served) this.#unload(served);
    }
  }

  #has(model: Model): boolean {
    return this.#served.has(model.queue);
  }

  /** Bytes that all of them take, and those of their caches that are in memory. */
  get #taken(): number {
    return [...this.#served.values(), ...this.#leaving.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get #held(): number {
    return [...this.#served.values(), ...this.#leaving.values()].reduce((sum, { worker }) => sum + worker.heldBytes, 0);
  }

  /** The others are served; jobs for this one wait for a worker that can load it, and for the next try. */
  #fail(model: Model, error: unknown): undefined {
    const { metrics, logger } = this.#options;
    // Removed meanwhile, which is seen here sooner than by who looks at the repository.
    const isGone = !existsSync(model.folder);
    if (isGone) logger.info('model.gone', { model: pathOf(model) });
    else logger.error('model.load_failed', { model: pathOf(model) }, error);
    // One that has changed meanwhile is another model.
    if (!this.#repository.models.includes(model)) return;
    this.#failures.add(model, error, { forGood: error instanceof TooLarge });
    if (!isGone) metrics.modelLoadFailures.set(labelsOf(model), 1);
  }

  /** Moves it to those that are leaving, at once. */
  #unload(served: Served): void {
    const { logger, now } = this.#options;
    const { model, worker } = served;
    const from = now();
    this.#served.delete(model.queue);
    this.#leaving.set(model.queue, served);
    this.#move(async () => {
      try {
        await worker.stop();
        if (!this.#stopping) logger.info('model.unloaded', { ...labelsOf(model), seconds: round(now() - from) });
      } catch (error) {
        logger.error('model.unload_failed', { model: pathOf(model) }, error);
      }
      this.#leaving.delete(model.queue);
      this.#failures.memoryFreed();
    });
  }

  /** Whatever is under way is told to all when it has ended. */
  #move(run: () => Promise<void>): void {
    const move: Promise<void> = run()
      .then(() => (this.#stopping ? undefined : this.#tell()))
      .catch(() => undefined)
      .finally(() => this.#moves.delete(move));
    this.#moves.add(move);
  }

  #forgetFailure(model: Model): void {
    if (this.#failures.delete(model)) this.#options.metrics.modelLoadFailures.remove(labelsOf(model));
  }
}

/** No room for it alone: that stays so. */
class TooLarge extends ShoalError {
  constructor(bytes: number, memory: number) {
    const [needed, given] = [bytes, memory].map((size) => Math.ceil(size / 2 ** 20));
    super('device_failed', `it takes ${needed} MiB, and SHOAL_MODEL_MEMORY is ${given} MiB`);
  }
}

function labelsOf({ name, version, variant }: Model) {
  return { model: name, version, variant };
}

/** Seconds, of ms. */
function round(ms: number): number {
  return Math.round(ms) / 1000;
}

function pathOf({ name, version, variant }: Model): string {
  return `${name}/${version}/${variant}`;
}
