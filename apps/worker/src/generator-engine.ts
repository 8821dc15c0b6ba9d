import type { Finish, GenerationEngine, NewToken } from '@shoal/generation';
import {
  type ClaimedItem,
  type Engine,
  type Outcome,
  type Place,
  PROVEN_TOKENS,
  type Publisher,
  type Room,
} from '@shoal/queue';
import { Answer } from './answer.js';
import type { GenerationReporter } from './generation-reporter.js';
import { type RequestContext, requestOf, settingsOf } from './generation-request.js';
import { givenUp, newRow, type Row, resultOf } from './generator-row.js';
import type { RateReporter } from './rate-reporter.js';
import { retryAfterMs } from './retry.js';
import type { TextReader } from './text-reader.js';
import { inTurn, isPreceded, nextTurns } from './turns.js';

/** Items that are held beside those that run: the next is there when a row ends, and others see nothing of them meanwhile. */
const WAITING = 2;
/** Passes that never ended, after which an item counts as what ends its worker. */
const MAX_STRIKES = 3;
/** Seconds of passes after which their speed is told. */
const TELL_SECONDS = 0.5;
/** Least time between two writes to Redis, in ms: readers see no difference, and steps may be faster. */
const WRITE_MS = 25;
/** An answer that nobody follows is written down every so many tokens or ms: what a worker that dies may lose. */
const UNFOLLOWED_TOKENS = PROVEN_TOKENS;
const UNFOLLOWED_MS = 2000;

/** Whose log ends elsewhere than it should is claimed anew after so long: somebody else may be at it. */
const LOG_RETRY_MS = 1000;

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
const STOPPED: Finish = { reason: 'stop', stop: null };

export class GeneratorEngine implements Engine {
  readonly #options: GeneratorEngineOptions;
  readonly #waiting = new Set<Row>();
  /** What has begun, until its outcome. */
  readonly #begun = new Set<Row>();
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
    // What would wait for a suspect here may run elsewhere.
    const rows = this.#hasSuspect() ? this.#begun.size : this.#options.engine.rows;
    const free = rows + WAITING - this.#held;
    return { items: free, tokens: free > 0 ? Number.MAX_SAFE_INTEGER : 0 };
  }

  isPreceded(by: Place): boolean {
    return isPreceded([...this.#waiting], by);
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
        this.#waiting.add(row);
        this.#makeRoom(item);
        void this.#fill();
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

  #hasSuspect(): boolean {
    const suspect = ({ item }: Row) => item.strikes > 0;
    return [...this.#waiting].some(suspect) || [...this.#begun].some((row) => row.unproven && suspect(row));
  }

  /** What was taken beyond the room for it has the place of the last one that waits and is less urgent. */
  #makeRoom({ tenant, rank }: ClaimedItem): void {
    if (this.room().items >= 0) return;
    const last = inTurn([...this.#waiting]).findLast(({ item }) => item.tenant === tenant && item.rank > rank);
    if (last) this.#over(last, { kind: 'returned' });
  }

  /** Begins what waits and has its turn, in rows that are free or that others leave for it. */
  async #fill(): Promise<void> {
    if (this.#filling) return;
    this.#filling = true;
    try {
      while (!this.#draining && this.#waiting.size > 0) {
        const running = [...this.#running.values()];
        const unproven = [...this.#begun].filter((row) => row.unproven);
        const free = this.#options.engine.rows - running.length;
        const { starts, leave } = nextTurns([...this.#waiting], running, unproven, free);
        if (starts.length === 0) return;
        for (const row of leave) {
          this.#options.reporter.preempted();
          this.#return(row);
        }
        for (const row of starts) {
          row.unproven = true;
          this.#waiting.delete(row);
          this.#begun.add(row);
        }
        await this.#begin(starts);
      }
    } finally {
      this.#filling = false;
    }
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
    if (this.#draining) return this.#giveBack(begun, { kind: 'returned' });
    for (const row of begun) if (!row.over) this.#start(row);
  }

  /** Rows whose items go on elsewhere, or later: they are not what a later end of their worker is blamed on. */
  async #giveBack(rows: readonly Row[], outcome: Outcome | unknown): Promise<void> {
    const unproven = rows.filter((row) => !row.over && row.unproven);
    try {
      if (unproven.length > 0) await this.#options.publisher.unbegin(unproven.map(({ item }) => item));
    } catch (error) {
      for (const row of unproven) this.#over(row, error);
    }
    for (const row of rows) this.#over(row, outcome);
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
    this.#count(row, tokens.length);
    row.answer.add(tokens);
    this.#touch(row);
  }

  /** Tells that so many tokens have come; none where an answer ends that has none. */
  #count(row: Row, tokens: number): void {
    const { reporter, now } = this.#options;
    const at = now();
    if (row.grownAt === 0) {
      row.prefillMs = at - row.startedAt;
      reporter.began(row.item, tokens, at - row.takenAt);
    } else if (tokens > 0) {
      reporter.grew(tokens, (at - row.grownAt) / tokens);
    }
    row.grownAt = at;
  }

  #finish(row: Row, finish: Finish | Error): void {
    if (row.over || row.finish !== null) return;
    if (row.id !== null) this.#running.delete(row.id);
    if (!(finish instanceof Error)) this.#count(row, finish.stop === null ? 0 : 1);
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
    this.#begun.delete(row);
    this.#waiting.delete(row);
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
      const due = rows.filter((row) => !row.over && this.#isDue(row));
      // What Redis refuses is no fault of a text: they are claimed anew without a strike.
      await this.#publish(due, ended).catch((error: unknown) => this.#giveBack(due, error));
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
    if (finish !== null || leaving || followed || answer.written <= item.written) return true;
    return answer.length - answer.written >= UNFOLLOWED_TOKENS || this.#options.now() - writtenAt >= UNFOLLOWED_MS;
  }

  async #publish(rows: readonly Row[], ended: ReadonlySet<Row>): Promise<void> {
    const { publisher, now } = this.#options;
    // The result says what an answer that has ended has more than its pieces.
    const writes = rows.flatMap((row) => {
      const piece = ended.has(row) ? null : row.answer.takePiece();
      return piece ? [{ row, piece }] : [];
    });
    const verdicts = await publisher.write(writes.map(({ row: { item }, piece }) => ({ item, piece })));
    const misplaced: Row[] = [];
    writes.forEach(({ row }, n) => {
      const verdict = verdicts[n]!;
      if (verdict === -2) misplaced.push(row);
      else if (verdict <= 0) this.#over(row, { kind: 'done' });
      row.followed = verdict === 2;
      row.writtenAt = now();
      if (verdict > 0 && row.answer.written - row.item.written >= PROVEN_TOKENS) row.unproven = false;
    });
    await this.#giveBack(misplaced, { kind: 'retry', afterMs: LOG_RETRY_MS });
    await this.#end(rows.filter((row) => !row.over && ended.has(row)));
    this.#tell();
    await this.#giveBack(
      rows.filter((row) => row.leaving && !ended.has(row)),
      { kind: 'returned' },
    );
    void this.#fill();
  }

  async #end(rows: readonly Row[]): Promise<void> {
    if (rows.length === 0) return;
    const finished = rows.map((row) => resultOf(row, this.#options));
    const { publisher, reporter } = this.#options;
    const verdicts = await publisher.publish(finished);
    rows.forEach((row, n) => {
      const { result, used = row.answer.length } = finished[n]!;
      // Else the job had ended, or somebody else has the item.
      if (verdicts[n] === 1) reporter.ended(row.item, row.finish!, used, row.prefillMs, result);
      const afterMs = result ? null : retryAfterMs(row.item.attempts, this.#options.random);
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
