/**
 * Many texts at once, each of which comes and goes between two passes (continuous batching). A step is a pass over the texts
 * that are under way, in rows 0 to n - 1 of the cache, and passes over chunks of prompts, each in a row of its own.
 */
import { type Savings, ShoalError } from '@shoal/contracts';
import type { DecoderInfo } from '@shoal/models';
import type { Session } from '@shoal/onnxruntime';
import { KvCache } from '../kv/cache.js';
import { Slots } from '../kv/slots.js';
import { DecoderPasses, type NewTokens } from '../passes.js';
import { CANDIDATES, type Candidates } from '../sampling/candidates.js';
import { withLogprobs } from '../sampling/logprobs.js';
import { needsLogSumExp, Sampler } from '../sampling/sample.js';
import type { GenerationRequest } from '../types.js';
import { chooseNext } from './choose.js';
import { type Ending, packTokens, type RequestToken, type Saved, type StepEvents } from './events.js';
import { checkRequest } from './request.js';
import { chunkedOf, Row, takesProposals, tokensOf } from './row.js';
import { chunkOf, compaction, goingOn, neighbours, nextInTurn, planStep, waitsForOthers } from './scheduler.js';
import { type EngineStats, noStats } from './stats.js';

/** Tokens that are proposed at once: a fourth would make a pass longer by more than it is right. */
const PROPOSED = 3;

export interface EngineOptions {
  /** Texts at once, and prefixes that are kept beside them. */
  readonly rows: number;
  /** Tokens of prompt and answer together, at most the model's own limit. */
  readonly context: number;
  /** Tokens of all rows together that may be in memory. At least `context`. */
  readonly budget: number;
  /** In milliseconds. */
  readonly now: () => number;
  /** At most `count` tokens that may follow a text; default none. */
  readonly propose?: Propose;
  /** Called between passes over prompts, of which a step may have many: what came meanwhile may be started and stopped in it. */
  readonly hear?: () => void;
}

/** `tokens`: prompt and answer so far. `prediction`: what its request says that the answer is likely to have. */
export type Propose = (tokens: Uint32Array, prediction: Uint32Array | null, count: number) => Uint32Array;

/** A request without a row. `savings`: it had one, and made way for others in the middle of its prompt. */
type Waiting = GenerationRequest & { readonly savings?: Savings };

export class Engine {
  readonly stats: EngineStats = noStats();
  readonly #options: EngineOptions;
  readonly #info: DecoderInfo;
  readonly #cache: KvCache;
  readonly #slots: Slots;
  /** Two, since each binds rows of the cache of its own: to bind anew takes a third of a millisecond. */
  readonly #decoding: DecoderPasses;
  readonly #prefilling: DecoderPasses;
  readonly #sampler: Sampler;
  readonly #waiting: Waiting[] = [];
  #running: Row[] = [];
  #prefill: Row | undefined;
  #saved: Saved[] = [];
  #prompts: RequestToken[] = [];
  #tokens: RequestToken[] = [];
  #ended: Ending[] = [];

  /** The session's runs take the thread that calls `step`. */
  constructor(session: Session, info: DecoderInfo, options: EngineOptions) {
    this.#options = options;
    this.#info = info;
    const capacity = Math.max(options.context, info.window) + PROPOSED;
    this.#cache = new KvCache(session, info, { rows: options.rows, capacity });
    this.#slots = new Slots(this.#cache, options.budget);
    this.#decoding = new DecoderPasses(session, info, this.#cache, { logits: true, blocking: true });
    this.#prefilling = new DecoderPasses(session, info, this.#cache, { logits: true, blocking: true });
    this.#sampler = new Sampler(info.vocabulary);
  }

  /** Nothing to do until the next `start`. */
  get idle(): boolean {
    return this.#running.length === 0 && this.#prefill === undefined && this.#waiting.length === 0;
  }

  /** @throws ShoalError as `checkRequest` */
  start(request: GenerationRequest): void {
    checkRequest(request, { context: this.#options.context, vocabulary: this.#info.vocabulary });
    this.#waiting.push(request);
  }

  /** Nothing is told of the request any more. Its row stays as a prefix. */
  stop(id: number): void {
    const waiting = this.#waiting.findIndex((request) => request.id === id);
    if (waiting !== -1) this.#waiting.splice(waiting, 1);
    for (const row of this.#rows()) if (row.request.id === id) this.#free(row);
    this.#countRows();
  }

  /** A token for each text that is under way, and some of the prompts of others. What fails ends those that took part. */
  async step(): Promise<StepEvents> {
    const started = this.#options.now();
    const passesBefore = this.stats.passSeconds;
    this.#beginAnew();
    this.#admit();
    const going = this.#goingOn();
    const { decode, verify, budget } = planStep(going.length, this.#prefill?.request);
    if (decode) await this.#decode(going, verify);
    await this.#processPrompts(budget);
    this.stats.steps++;
    this.stats.otherSeconds += (this.#options.now() - started) / 1000 - (this.stats.passSeconds - passesBefore);
    this.#countRows();
    const [saved, ended] = [this.#saved, this.#ended];
    const events = { saved, prompts: packTokens(this.#prompts), tokens: packTokens(this.#tokens), ended };
    [this.#saved, this.#prompts, this.#tokens, this.#ended] = [[], [], [], []];
    return events;
  }

  /** Frees what the engine holds of its session. No step may be under way. */
  async release(): Promise<void> {
    await this.#decoding.release();
    await this.#prefilling.release();
  }

  #countRows(): void {
    this.stats.running = this.#rows().length;
    this.stats.waiting = this.#waiting.length;
    this.stats.cacheBytes = this.#slots.touched * this.#cache.bytesPerToken;
  }

  #rows(): readonly Row[] {
    return this.#prefill === undefined ? this.#running : [...this.#running, this.#prefill];
  }

  /** Gives the next one in turn a row, where none is in the middle of its prompt and there is room. */
  #admit(): void {
    this.#makeWay();
    while (this.#prefill === undefined) {
      const running = this.#running.map(({ request }) => request);
      const request = nextInTurn(this.#waiting.filter((one) => !waitsForOthers(one, [...running, ...this.#waiting])));
      if (request === undefined) return;
      const { prompt, maxTokens, promptLogprobs, cacheScope, savings } = request;
      const tokens = tokensOf(request);
      const { recomputedBeyond: bound } = this.#info;
      // Of the same tokens keys and values are others in texts on the other side of the bound.
      const scope = bound === null ? cacheScope : `${tokens.length > bound ? 'long' : 'short'} ${cacheScope}`;
      const proposals = this.#options.propose !== undefined && takesProposals(request);
      // One token has to be processed for what follows it; all of them where it is wanted of each.
      const reuse = promptLogprobs || this.#prefilling.changesAlways ? 0 : tokens.length - 1;
      const chunked = chunkedOf(request, bound);
      const claim = { tokens, prompt: chunked, proposals, reserve: prompt.length + maxTokens, scope, reuse };
      const slot = this.#slots.claim(claim);
      if (slot === undefined) return;
      this.#waiting.splice(this.#waiting.indexOf(request), 1);
      const row = new Row(request, slot, savings);
      if (savings === undefined) this.#tellSaved(row);
      this.stats.prefixHits += Number(slot.length > 0);
      this.stats.prefixTokens += slot.length;
      if (row.ending !== undefined && !promptLogprobs) this.#endIfOver(row);
      else if (row.leftOfPrompt > 0) this.#prefill = row;
      else this.#running.push(row);
    }
  }

  /** Texts that longrope has other factors for from now on wait for a row as they did at first: all of them is processed again. */
  #beginAnew(): void {
    const bound = this.#info.recomputedBeyond ?? Number.POSITIVE_INFINITY;
    for (const row of this.#running.filter(({ known, slot }) => known > bound && slot.length <= bound)) {
      const { request, savings, slot, known } = row;
      const emitted = slot.tokens.slice(request.prompt.length, known);
      this.#free(row);
      // What was wanted of the prompt is told.
      this.#waiting.push({ ...request, emitted, promptLogprobs: false, savings });
    }
  }

  /** A prompt that waits for others of its owner comes after them: what of it was processed stays. */
  #makeWay(): void {
    const row = this.#prefill;
    if (row === undefined || !waitsForOthers(row.request, this.#waiting)) return;
    this.#free(row);
    this.#waiting.push({ ...row.request, savings: row.savings });
  }

  /** The texts that are in the next pass. */
  #goingOn(): Row[] {
    const running = this.#running.map(({ request }) => request);
    const going = new Set(goingOn(running, this.#prefill?.request));
    return this.#running.filter(({ request }) => going.has(request));
  }

  async #decode(going: readonly Row[], verify: boolean): Promise<void> {
    for (const [to, from] of compaction(going.map(({ slot }) => slot.place))) this.#slots.swap(to, from);
    const rows = [...going].sort((a, b) => a.slot.place - b.slot.place);
    const counts = new Map(rows.map((row) => [row, 1 + (verify ? this.#propose(row) : 0)]));
    // Those beside a text whose proposals are verified would be padded to as many tokens, and be rounded as it is.
    for (const group of neighbours(rows, (row) => counts.get(row)! > 1)) await this.#decodeTogether(group, counts);
  }

  async #decodeTogether(rows: readonly Row[], counts: ReadonlyMap<Row, number>): Promise<void> {
    const taken = rows.map((row) => {
      const count = counts.get(row)!;
      // What follows is known of a text that came with a part of its answer.
      return { ...passOf(row), ids: row.next(count), wanted: row.left > 1 ? 0 : count };
    });
    const found = await this.#pass(this.#decoding, rows, taken, rows[0]!.slot.place);
    found?.forEach((candidates, n) => {
      if (candidates.length > 0) this.#verify(rows[n]!, candidates);
      else this.#slots.extend(rows[n]!.slot, 1, PROPOSED);
    });
  }

  /** How many tokens are proposed to follow a text. */
  #propose(row: Row): number {
    const { slot, known, request, made, prediction } = row;
    const bound = this.#info.recomputedBeyond ?? 0;
    const room = known > bound ? PROPOSED : bound - known;
    const count = Math.min(PROPOSED, request.maxTokens - made - 1, room);
    if (this.#options.propose === undefined || this.#decoding.changesAlways || !takesProposals(request)) return 0;
    if (count <= 0 || row.left > 1 || !row.proposes) return 0;
    const tokens = this.#options.propose(slot.tokens.subarray(0, known), prediction, count).subarray(0, count);
    if (tokens.length > 0) row.propose(tokens);
    return tokens.length;
  }

  /** Chooses what follows the latest token, and what follows each proposed one as long as they are the ones chosen. */
  #verify(row: Row, candidates: readonly Candidates[]): void {
    const proposed = candidates.length - 1;
    const proposals = row.slot.tokens.slice(row.known, row.known + proposed);
    let right = 0;
    for (const found of candidates) {
      this.#slots.extend(row.slot, 1, PROPOSED);
      const next = this.#choose(row, found);
      if (next === undefined || next !== proposals[right]) break;
      right++;
      if (row.ending !== undefined) break;
    }
    if (proposed > 0) {
      row.verified(proposed, right);
      if (row.prediction !== null) this.#tellSaved(row);
      this.stats.accepted += right;
      this.stats.rejected += proposed - right;
    }
    this.#endIfOver(row);
  }

  async #processPrompts(budget: number): Promise<void> {
    let left = budget;
    while (this.#prefill !== undefined && left > 0) {
      const row = this.#prefill;
      if (
        this.#running.length > 0 &&
        waitsForOthers(
          row.request,
          this.#running.map(({ request }) => request),
        )
      )
        return;
      left -= await this.#processChunk(row);
      this.#options.hear?.();
      if (this.#prefill !== undefined && !waitsForOthers(this.#prefill.request, this.#waiting)) continue;
      // While a suspect has made no token, nobody else is in a pass.
      if (row.request.alone || nextIsAlone(this.#waiting)) return;
      this.#admit();
    }
  }

  /** How many tokens there were in it. */
  async #processChunk(row: Row): Promise<number> {
    const { request, slot, leftOfPrompt } = row;
    const { promptLogprobs } = request;
    const past = slot.length;
    const size = chunkOf(past, leftOfPrompt);
    // What follows is known of a text that came with a part of its answer.
    const next = size === row.left;
    const wanted = promptLogprobs ? size : Number(next);
    const taken = { ...passOf(row), ids: row.next(size), wanted, rotaryLength: slot.prompt };
    const found = await this.#pass(this.#prefilling, [row], [taken], slot.place);
    if (found === undefined) return size;
    this.#slots.extend(slot, size);
    this.stats.promptTokens += size;
    const candidates = found[0]!;
    if (promptLogprobs) this.#tellPrompt(row, past, candidates);
    if (size < leftOfPrompt) return size;
    this.#prefill = undefined;
    this.#running.push(row);
    if (next && row.ending === undefined) this.#choose(row, candidates.at(-1)!);
    this.#endIfOver(row);
    return size;
  }

  /** What was found for each row; undefined where the pass failed, which ends them. */
  async #pass(passes: DecoderPasses, rows: readonly Row[], taken: readonly NewTokens[], first: number) {
    const started = this.#options.now();
    try {
      return await passes.forward(taken, { first, candidates: CANDIDATES });
    } catch (error) {
      for (const row of rows) this.#fail(row, error);
      return undefined;
    } finally {
      this.stats.passSeconds += (this.#options.now() - started) / 1000;
    }
  }

  /** The next token of a text, which is told; undefined where that has failed, or is one that ends it. */
  #choose(row: Row, candidates: Candidates): number | undefined {
    try {
      const token = chooseNext(this.#sampler, row, candidates);
      this.stats.tokens++;
      if (token !== undefined) this.#tokens.push({ request: row.request.id, token });
      return token?.id;
    } catch (error) {
      this.#fail(row, error);
      return undefined;
    }
  }

  #tellSaved({ request, savings }: Row): void {
    this.#saved.push({ request: request.id, ...savings });
  }

  /** How likely the prompt's tokens were is told once all of it is processed: one that makes way begins anew. */
  #tellPrompt({ request, promptTokens }: Row, past: number, candidates: readonly Candidates[]): void {
    candidates.forEach((found, n) => {
      const id = request.prompt[past + n + 1];
      if (id === undefined) return;
      promptTokens.push({ request: request.id, token: withLogprobs(id, request.topLogprobs ?? 0, found) });
    });
    if (past + candidates.length < request.prompt.length) return;
    for (const token of promptTokens.splice(0)) this.#prompts.push(token);
  }

  #endIfOver(row: Row): void {
    if (row.ending === undefined) return;
    this.#ended.push({ request: row.request.id, finish: row.ending });
    this.#free(row);
  }

  /** What its row holds cannot be relied on. */
  #fail(row: Row, error: unknown): void {
    const { code, message } = error instanceof ShoalError ? error : new ShoalError('internal_error', String(error));
    this.#ended.push({ request: row.request.id, error: { code, detail: message } });
    this.#free(row);
    this.#slots.discard(row.slot);
  }

  #free(row: Row): void {
    if (this.#prefill === row) this.#prefill = undefined;
    this.#running = this.#running.filter((other) => other !== row);
    this.#slots.release(row.slot);
  }
}

/** What all passes of a text have alike. */
function passOf({ slot, request }: Row) {
  const { topLogprobs, promptLogprobs, sampling } = request;
  return { past: slot.length, logSumExp: topLogprobs !== null || promptLogprobs || needsLogSumExp(sampling) };
}

function nextIsAlone(waiting: readonly GenerationRequest[]): boolean {
  return nextInTurn(waiting)?.alone ?? false;
}
