/**
 * Replicas that generate texts, in steps of a quarter of a second: each has rows for 64 texts, a pass gives every text that is
 * under way its next token, and beside them a part of one prompt is processed. What an answer is charged for is what answers
 * have on average, since nobody knows how long it will be. A replica that is taken away leaves its texts to others, which
 * begin with prompt and answer again.
 */
import type { BatchRun, Step } from './fleet.js';
import { waitOf } from './waits.js';

const ROWS = 64;
const CONTEXT = 2048;
export const TEXT_SHAPE = { maxBatchSize: ROWS, maxBatchTokens: ROWS * CONTEXT };
/**
 * Seconds of a pass, whatever is in it, of each text in it, and of each token of a prompt: 135 million parameters of 4 bits on two
 * cores take 5.7, 14 and 47 ms for 1, 8 and 32 texts.
 */
const PASS_SECONDS = 0.0044;
const ROW_SECONDS = 0.0013;
const PROMPT_SECONDS = 0.00037;
/** Tokens a second of a replica, prompts included, with all rows in use: of prompts of 520 tokens and answers of 132. */
export const TEXT_RATE = 1750;
/** Tokens of a prompt in a pass, beside texts that go on, and without them. */
const BUSY_CHUNK = 64;
const IDLE_CHUNK = 256;
/** Texts that a replica holds beside those in its rows. */
const AHEAD = 2;
/** Tokens that an answer is charged for before one has ended, and how much of the mean the latest one is. */
const FIRST_MEAN = 256;
const LATEST = 1 / 16;
const PARTS = 4;

/** One that arrives. */
export interface Text {
  readonly prompt: number;
  readonly answer: number;
}

interface Job extends Text {
  readonly arrived: number;
  readonly charge: number;
  /** Tokens of the prompt that are to be processed, and of the answer. */
  promptLeft: number;
  left: number;
  /** Whether its first token came. */
  told: boolean;
}

interface Replica {
  /** First the one whose prompt is processed. */
  readonly waiting: Job[];
  readonly decoding: Job[];
  /** Seconds that it may still use; below 0 where the latest pass took longer than there was. */
  credit: number;
}

export class TextFleet {
  #queue: Job[] = [];
  /** Of `#queue` so many are gone. */
  #head = 0;
  readonly #replicas: Replica[] = [];
  /** Texts by how many whole seconds it was to their first token. */
  readonly #waits: number[] = [];
  readonly #lengthsKnown: boolean;
  #waitingTokens = 0;
  #mean = FIRST_MEAN;
  #turn = 0;

  /** `lengthsKnown`: answers are charged for what they will be, which nobody can. */
  constructor({ lengthsKnown = false }: { readonly lengthsKnown?: boolean } = {}) {
    this.#lengthsKnown = lengthsKnown;
  }

  /** Those that no replica has. */
  get waitingJobs(): number {
    return this.#queue.length - this.#head;
  }

  /** One second. */
  step(t: number, arrivals: readonly Text[], replicas: number): Step {
    this.#resize(replicas);
    const jobs = arrivals.map((text) => this.#jobOf(text, t));
    const batches: BatchRun[] = [];
    const used = this.#replicas.map(() => ({ seconds: 0, tokens: 0, rows: 0 }));
    for (let part = 0; part < PARTS; part++) {
      const come = jobs.slice((part * jobs.length) / PARTS, ((part + 1) * jobs.length) / PARTS);
      this.#waitingTokens += charges(come);
      this.#queue.push(...come);
      this.#handOut();
      for (const [n, replica] of this.#replicas.entries()) this.#run(replica, t, used[n]!);
    }
    for (const { seconds, tokens, rows } of used) {
      if (tokens > 0) batches.push({ rows, length: tokens / rows, seconds });
    }
    const held = this.#replicas.flatMap(({ waiting, decoding }) => [...waiting, ...decoding]);
    return {
      ...{ t, replicas, batches, waitingJobs: this.waitingJobs },
      arrivedTokens: charges(jobs),
      waitingTokens: this.#waitingTokens,
      runningTokens: charges(held),
    };
  }

  /** Seconds in which the share `p` of the texts had their first token. */
  wait(p: number): number {
    return waitOf(this.#waits, p);
  }

  #jobOf(text: Text, t: number): Job {
    const charge = text.prompt + (this.#lengthsKnown ? text.answer : this.#mean);
    return { ...text, arrived: t, charge, promptLeft: text.prompt, left: text.answer, told: false };
  }

  #resize(replicas: number): void {
    while (this.#replicas.length < replicas) this.#replicas.push({ waiting: [], decoding: [], credit: 0 });
    for (const { waiting, decoding } of this.#replicas.splice(replicas)) {
      const returned = [...decoding, ...waiting];
      for (const job of returned) Object.assign(job, { promptLeft: job.prompt, left: job.answer });
      this.#waitingTokens += charges(returned);
      this.#queue = [...returned, ...this.#queue.slice(this.#head)];
      this.#head = 0;
    }
  }

  /** In turn, to whoever has room. */
  #handOut(): void {
    const room = ({ waiting, decoding }: Replica) => ROWS + AHEAD - waiting.length - decoding.length;
    let full = 0;
    while (this.waitingJobs > 0 && full < this.#replicas.length) {
      const replica = this.#replicas[this.#turn++ % this.#replicas.length]!;
      if (room(replica) > 0) {
        const job = this.#queue[this.#head++]!;
        this.#waitingTokens -= job.charge;
        replica.waiting.push(job);
        full = 0;
      } else full++;
    }
  }

  #run(replica: Replica, t: number, used: { seconds: number; tokens: number; rows: number }): void {
    const { waiting, decoding } = replica;
    replica.credit = Math.min(1, replica.credit) + 1 / PARTS;
    while (replica.credit > 0 && waiting.length + decoding.length > 0) {
      const next = decoding.length < ROWS ? waiting[0] : undefined;
      const chunk = Math.min(next?.promptLeft ?? 0, decoding.length > 0 ? BUSY_CHUNK : IDLE_CHUNK);
      const seconds = PASS_SECONDS + ROW_SECONDS * decoding.length + PROMPT_SECONDS * chunk;
      replica.credit -= seconds;
      used.seconds += seconds;
      used.tokens += decoding.length + chunk;
      used.rows = Math.max(used.rows, Math.min(ROWS, waiting.length + decoding.length));
      for (let n = decoding.length - 1; n >= 0; n--) {
        if (--decoding[n]!.left === 0) this.#end(decoding, n);
      }
      if (next === undefined) continue;
      next.promptLeft -= chunk;
      if (next.promptLeft > 0) continue;
      decoding.push(waiting.shift()!);
      this.#tell(next, t);
    }
    if (waiting.length + decoding.length === 0) replica.credit = 0;
  }

  #tell(job: Job, t: number): void {
    if (job.told) return;
    job.told = true;
    const waited = t - job.arrived;
    this.#waits[waited] = (this.#waits[waited] ?? 0) + 1;
  }

  #end(decoding: Job[], n: number): void {
    const [{ answer }] = decoding.splice(n, 1) as [Job];
    this.#mean += (answer - this.#mean) * LATEST;
  }
}

function charges(jobs: readonly Job[]): number {
  return jobs.reduce((sum, { charge }) => sum + charge, 0);
}
