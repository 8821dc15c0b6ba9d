import type { Finish, GenerationEngine, NewToken } from '@shoal/generation';
import { type ClaimedItem, type Engine, NOBODY, type Outcome, type Publisher, type Room } from '@shoal/queue';
import { Answer } from './answer.js';
import type { GenerationReporter } from './generation-reporter.js';
import { type RequestContext, requestOf, settingsOf } from './generation-request.js';
import { givenUp, newRow, type Row, resultOf } from './generator-row.js';
import type { RateReporter } from './rate-reporter.js';
import { retryAfterMs } from './retry.js';
import type { TextReader } from './text-reader.js';

/** Items that are held beside those that run: the next is there when a row ends, and others see nothing of them meanwhile. */
const WAITING = 2;
/** Passes that never ended, after which an item counts as what ends its worker. */
const MAX_STRIKES = 3;
/** Seconds of passes after which their speed is told. */
const TELL_SECONDS = 0.5;
/** Least time between two writes to Redis, in ms: readers see no difference, and steps may be faster. */
const WRITE_MS = 25;
/** An answer that nobody follows is written down every so many tokens or ms: what a worker that dies may lose. */
const UNFOLLOWED_TOKENS = 64;
const UNFOLLOWED_MS = 2000;

export interface GeneratorEngineOptions extends RequestContext {
  readonly engine: Pick<GenerationEngine, 'rows' | 'start' | 'stop' | 'stats' | 'close'>;
  readonly reader: TextReader;
  readonly publisher: Pick<Publisher, 'begin' | 'unbegin' | 'write' | 'written' | 'publish'>;
  readonly rate: Pick<RateReporter, 'add'>;
  readonly reporter: Pick<GenerationReporter, 'holds' | 'began' | 'grew' | 'ended' | 'preempted'>;
  /** Milliseconds from any origin, never going back. */
  readonly now: () => number;
  readonly random: () => number;
}

/** A stop string ended it: the engine knows nothing of text. */
const STOPPED: Finish = { reason: 'stop', stopId: null };

export class GeneratorEngine implements Engine {
  readonly #options: GeneratorEngineOptions;
  /** In the fair order. */
  readonly #waiting: Row[] = [];
  readonly #running = new Map<number, Row>();
  /** Those with something to be read, written or ended. */
  readonly #dirty = new Set<Row>();
  #held = 0;
  #nextId = 1;
  #draining = false;
  #drained = () => {};
  #filling = false;
  #writing = false;
  #writeAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  /** What the engine had done when its speed was told last. */
  #told = { tokens: 0, seconds: 0 };

  constructor(options: GeneratorEngineOptions) {
    this.#options = options;
  }

  room(): Room {
    const free = this.#options.engine.rows + WAITING - this.#held;
    return { items: free, tokens: free > 0 ? Number.MAX_SAFE_INTEGER : 0 };
  }

  first(): number {
    return this.#waiting[0]?.item.lock.tag ?? NOBODY;
  }

  async take(item: ClaimedItem): Promise<Outcome> {
    const { publisher, reporter, reader, now } = this.#options;
    reporter.holds(++this.#held);
    try {
      if (item.strikes >= MAX_STRIKES) return await this.#giveUp(item);
      const settings = settingsOf(item);
      const answer = new Answer(reader.open(settings), settings.logprobs);
      if (item.written > 0) answer.restore(await publisher.written(item));
      if (item.dropped.aborted) return { kind: 'done' };
      if (this.#draining) return { kind: 'returned' };
      return await new Promise<Outcome>((settle, fail) => {
        const row = newRow(item, answer, now(), { settle, fail });
        item.dropped.onAbort = () => this.#over(row, { kind: 'done' });
        const at = this.#waiting.findIndex((other) => other.item.lock.tag > item.lock.tag);
        this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, row);
        this.#fill();
      });
    } finally {
      reporter.holds(--this.#held);
      if (this.#held === 0) this.#drained();
    }
  }

  async drain(): Promise<void> {
    this.#draining = true;
    for (const row of [...this.#waiting]) this.#over(row, { kind: 'returned' });
    for (const row of this.#running.values()) this.#return(row);
    if (this.#held > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#options.engine.close();
  }

  /** Begins what waits while there are rows, and returns a row of a lower rank where there is none. */
  async #fill(): Promise<void> {
    if (this.#filling) return;
    this.#filling = true;
    try {
      while (!this.#draining && this.#waiting.length > 0) {
        const free = this.#options.engine.rows - this.#running.size;
        if (free <= 0) {
          this.#makeWay(this.#waiting[0]!.item);
          return;
        }
        const rows = this.#takeNext(free);
        if (rows.length === 0) return;
        await this.#begin(rows);
      }
    } finally {
      this.#filling = false;
    }
  }

  /**
   * What has begun and written nothing gets a strike when this process ends: where a suspect is among it, that is nobody else.
   * None: they wait until what has begun gets on.
   */
  #takeNext(free: number): Row[] {
    const starting = [...this.#running.values()].filter(({ gotOn }) => !gotOn);
    if (starting.some(({ item }) => item.strikes > 0)) return [];
    const suspect = this.#waiting.findIndex(({ item }) => item.strikes > 0);
    if (suspect === 0) return starting.length === 0 ? this.#waiting.splice(0, 1) : [];
    return this.#waiting.splice(0, suspect < 0 ? free : Math.min(free, suspect));
  }

  async #begin(rows: readonly Row[]): Promise<void> {
    let verdicts: readonly number[];
    try {
      verdicts = await this.#options.publisher.begin(rows.map(({ item }) => item));
    } catch (error) {
      for (const row of rows) this.#over(row, error);
      return;
    }
    const begun = rows.filter((_, n) => verdicts[n] === 1);
    for (const row of rows) if (!begun.includes(row)) this.#over(row, { kind: 'done' });
    if (this.#draining) return this.#giveBack(begun);
    for (const row of begun) if (!row.over) this.#start(row);
  }

  /** Returned rows. Those that have written nothing here are not what a later end of their worker is blamed on. */
  async #giveBack(rows: readonly Row[]): Promise<void> {
    const idle = rows.filter(({ over, gotOn }) => !over && !gotOn);
    try {
      if (idle.length > 0) await this.#options.publisher.unbegin(idle.map(({ item }) => item));
    } catch (error) {
      for (const row of idle) this.#over(row, error);
    }
    for (const row of rows) this.#over(row, { kind: 'returned' });
  }

  #start(row: Row): void {
    const { engine, now } = this.#options;
    const id = this.#nextId++;
    row.id = id;
    row.startedAt = now();
    row.besides = this.#running.size;
    this.#running.set(id, row);
    try {
      engine.start(requestOf(id, row.item, row.answer.ids, this.#options), {
        saved: (savings) => row.answer.save(savings),
        prompt: (tokens) => row.answer.addPrompt(tokens),
        tokens: (tokens) => this.#grow(row, tokens),
        ended: (finish) => this.#finish(row, finish),
        failed: (error) => this.#finish(row, error),
      });
    } catch (error) {
      this.#finish(row, error as Error);
    }
  }

  #grow(row: Row, tokens: readonly NewToken[]): void {
    if (row.over || row.finish !== null) return;
    const { reporter, now } = this.#options;
    const at = now();
    if (row.grownAt === 0) {
      row.prefillMs = at - row.startedAt;
      reporter.began(row.item, tokens.length, at - row.takenAt);
    } else {
      reporter.grew(tokens.length, (at - row.grownAt) / tokens.length);
    }
    row.grownAt = at;
    row.answer.add(tokens);
    this.#touch(row);
  }

  #finish(row: Row, finish: Finish | Error): void {
    if (row.over || row.finish !== null) return;
    if (row.id !== null) this.#running.delete(row.id);
    row.finish = finish;
    this.#touch(row);
    void this.#fill();
  }

  /** From its next written token on it is somebody else's. */
  #return(row: Row): void {
    if (row.over || row.leaving || row.finish !== null) return;
    row.leaving = true;
    this.#free(row);
    this.#touch(row);
  }

  #makeWay({ tenant, rank }: ClaimedItem): void {
    let last: Row | undefined;
    for (const row of this.#running.values()) {
      // A row that has not got on here would be returned again and again.
      const got = row.answer.length > row.item.written;
      const lower = row.item.tenant === tenant && row.item.rank > rank;
      if (lower && got && !row.leaving && row.item.lock.tag >= (last?.item.lock.tag ?? 0)) last = row;
    }
    if (last === undefined) return;
    this.#options.reporter.preempted();
    this.#return(last);
  }

  #free(row: Row): void {
    if (row.id === null) return;
    this.#options.engine.stop(row.id);
    this.#running.delete(row.id);
  }

  /** The row needs this worker no more. An error: its chunk is tried again. */
  #over(row: Row, outcome: Outcome | unknown): void {
    if (row.over) return;
    row.over = true;
    this.#free(row);
    this.#dirty.delete(row);
    const at = this.#waiting.indexOf(row);
    if (at >= 0) this.#waiting.splice(at, 1);
    if (isOutcome(outcome)) row.settle(outcome);
    else row.fail(outcome);
    void this.#fill();
  }

  #touch(row: Row): void {
    this.#dirty.add(row);
    if (this.#writing || this.#timer) return;
    const wait = this.#writeAt + WRITE_MS - this.#options.now();
    if (wait <= 0) void this.#write();
    else
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        void this.#write();
      }, wait);
  }

  /** One round: reads what has come, writes what is due in one script, and ends what has ended. */
  async #write(): Promise<void> {
    if (this.#writing) return;
    this.#writing = true;
    this.#writeAt = this.#options.now();
    const rows = [...this.#dirty];
    this.#dirty.clear();
    // What ends later than here has tokens that this round does not read: the next one ends it.
    const ended = new Set(rows.filter(({ finish }) => finish !== null));
    try {
      await this.#read(rows, ended);
      await this.#publish(
        rows.filter((row) => !row.over && this.#isDue(row)),
        ended,
      );
    } catch (error) {
      for (const row of rows) this.#over(row, error);
    } finally {
      this.#writing = false;
    }
    for (const row of this.#dirty) {
      this.#touch(row);
      break;
    }
  }

  /** Adds those that a stop string ends to `ended`. */
  async #read(rows: readonly Row[], ended: Set<Row>): Promise<void> {
    const read = await this.#options.reader.read(rows.map(({ answer }) => answer.unread));
    for (const [n, row] of rows.entries()) {
      const { answer } = row;
      answer.show(read[n]!);
      if (answer.stopped !== null) {
        row.finish ??= STOPPED;
        ended.add(row);
        this.#free(row);
        void this.#fill();
      }
      if (ended.has(row) && !(row.finish instanceof Error)) await answer.end();
    }
  }

  #isDue({ answer, item, finish, leaving, followed, writtenAt }: Row): boolean {
    if (finish !== null || leaving || followed || answer.length - answer.unwritten <= item.written) return true;
    return answer.unwritten >= UNFOLLOWED_TOKENS || this.#options.now() - writtenAt >= UNFOLLOWED_MS;
  }

  async #publish(rows: readonly Row[], ended: ReadonlySet<Row>): Promise<void> {
    const { publisher, now } = this.#options;
    // The result says what an answer that has ended has more than its pieces.
    const writes = rows.flatMap((row) => {
      const piece = ended.has(row) ? null : row.answer.takePiece();
      return piece ? [{ row, piece }] : [];
    });
    const verdicts = await publisher.write(writes.map(({ row: { item }, piece }) => ({ item, piece })));
    writes.forEach(({ row }, n) => {
      const verdict = verdicts[n]!;
      if (verdict <= 0) this.#over(row, { kind: 'done' });
      row.followed = verdict === 2;
      row.writtenAt = now();
      row.gotOn = true;
    });
    if (writes.length > 0) void this.#fill();
    await this.#end(rows.filter((row) => !row.over && ended.has(row)));
    this.#tell();
    await this.#giveBack(rows.filter((row) => row.leaving && !ended.has(row)));
  }

  async #end(rows: readonly Row[]): Promise<void> {
    if (rows.length === 0) return;
    const finished = rows.map((row) => resultOf(row, this.#options));
    const { publisher, reporter } = this.#options;
    await publisher.publish(finished);
    rows.forEach((row, n) => {
      reporter.ended(row.item, row.finish!, row.answer.length, row.prefillMs, finished[n]!.result);
      const afterMs = finished[n]!.result ? null : retryAfterMs(row.item.attempts, this.#options.random);
      this.#over(row, afterMs === null ? { kind: 'done' } : { kind: 'retry', afterMs });
    });
  }

  #tell(): void {
    const { engine, rate } = this.#options;
    const stats = engine.stats();
    const done = { tokens: stats.promptTokens + stats.tokens, seconds: stats.passSeconds };
    const seconds = done.seconds - this.#told.seconds;
    if (seconds < TELL_SECONDS) return;
    const rows = this.#running.size + 1;
    rate.add(new Array<number>(rows).fill((done.tokens - this.#told.tokens) / rows), seconds);
    this.#told = done;
  }

  /** An item that has ended its process too often is not run again. */
  async #giveUp(item: ClaimedItem): Promise<Outcome> {
    const { publisher } = this.#options;
    if ((await publisher.begin([item]))[0] !== 1) return { kind: 'done' };
    await publisher.publish([givenUp(item, MAX_STRIKES)]);
    return { kind: 'done' };
  }
}

function isOutcome(value: unknown): value is Outcome {
  return typeof value === 'object' && value !== null && 'kind' in value;
}
