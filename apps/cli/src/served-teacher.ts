/**
 * The original as an API serves it: what students learn from comes through its queue, as any caller's jobs do, and so from all of its
 * workers. A job has its key from what it asks, so that a run which was ended finds what was computed for it meanwhile.
 */
import { setTimeout as wait } from 'node:timers/promises';
import {
  formatSelector,
  isTerminal,
  type JobView,
  type ModelCard,
  ShoalError,
  type Task,
  type WireOutput,
} from '@shoal/contracts';
import type { Model } from '@shoal/models';
import type { AskedPage, GivenElsewhere, TeacherElsewhere } from '@shoal/optimizer';
import { UserError } from '@shoal/tools/user-error';
import { detailOf, type PatientApi, type Reply } from './patient-api.js';
import { outputsIn } from './shown-outputs.js';

/** Longest time in seconds that one call waits for a job. */
const WAIT = 60;
/** Time in ms in which it has to say what it serves, and to forget what it is told to. */
interface TeacherLimits {
  readonly findMs: number;
  readonly forgetMs: number;
}
const LIMITS: TeacherLimits = { findMs: 30_000, forgetMs: 10_000 };
/** Jobs that are tried for a page, since each run that deletes one uses its key up for a day; ms between them. */
const [MOST_ATTEMPTS, PAUSE_MS] = [50, 100];

/** Tasks whose answers over REST are all that students learn from. */
const TAUGHT: ReadonlySet<Task> = new Set<Task>(['text-classification', 'feature-extraction', 'rerank']);

export class ServedTeacher implements TeacherElsewhere {
  readonly #api: PatientApi;
  readonly #limits: TeacherLimits;

  constructor(api: PatientApi, limits = LIMITS) {
    this.#api = api;
    this.#limits = limits;
  }

  get name(): string {
    return this.#api.url;
  }

  check({ name, task }: Pick<Model, 'name' | 'task'>): void {
    if (TAUGHT.has(task)) return;
    throw new UserError(`--teacher is for ${[...TAUGHT].join(', ')}; ${name} serves ${task}: leave it out.`);
  }

  async find(original: Model, signal: AbortSignal): Promise<void> {
    const { task } = original;
    const selector = formatSelector(original);
    const reply = await this.#api.call('GET', `/v1/models/${selector}`, signal, {
      ...{ patience: 'busy', withinMs: this.#limits.findMs },
    });
    if (reply.status === 404 && detailOf(reply.body) !== undefined) {
      throw new UserError(`${this.name} does not serve ${selector}: ${detailOf(reply.body)}.`);
    }
    this.#refuse(reply, [200]);
    const card = reply.body as Partial<ModelCard> | undefined;
    const served = card?.served?.find(({ id }) => id === selector);
    if (card === undefined || served === undefined) throw this.#foreign(reply);
    const { state, reason } = served;
    if (state === 'unloaded' || state === 'failed') {
      throw new UserError(`${this.name} cannot answer by ${selector}: ${reason ?? 'it is unloaded there'}.`);
    }
    if (card.task !== task)
      throw new UserError(`${this.name} serves ${card.task} by ${selector}, which here is ${task}.`);
  }

  async answer(original: Model, page: AskedPage, signal: AbortSignal): Promise<GivenElsewhere> {
    const { key, questions, parameters } = page;
    const body = { model: formatSelector(original), input: questions, parameters, priority: 'low' };
    // What was deleted, by this run or by somebody, keeps its key for a day: another job needs another one.
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
      if (attempt > 1) await wait(PAUSE_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
      const headers = { 'idempotency-key': `shoal-teacher-${key}-${attempt}` };
      const reply = await this.#api.call('POST', '/v1/jobs', signal, { body, headers });
      this.#refuse(reply, [200, 202, 410]);
      if (reply.status === 410) continue;
      const { id } = (reply.body ?? {}) as Partial<JobView>;
      if (typeof id !== 'string') throw this.#foreign(reply);
      const job = await this.#end(id, signal);
      if (job === undefined) continue;
      const outputs = outputsOf(job, original);
      if (typeof outputs !== 'string') return { outputs, taken: (until) => this.#forget(id, until) };
      await this.#forget(id, signal);
      // It had ended before it was asked for here: it may end otherwise now.
      if (reply.status === 200) continue;
      const fault = outputs.replace(/\.$/, '');
      throw new UserError(`${this.name} has not answered ${questions.length} texts: ${fault} (job ${id}).`);
    }
    throw new UserError(
      `${this.name} has not kept any of ${MOST_ATTEMPTS} jobs of ${questions.length} texts until they were answered; the same command tries anew a day later.`,
    );
  }

  /** The job when it has ended; undefined where it is there no more. */
  async #end(id: string, signal: AbortSignal): Promise<JobView | undefined> {
    for (;;) {
      const reply = await this.#api.call('GET', `/v1/jobs/${id}?wait=${WAIT}`, signal);
      this.#refuse(reply, [200, 404]);
      if (reply.status === 404) return undefined;
      const job = reply.body as JobView;
      if (isTerminal(job.status)) return job;
    }
  }

  async #forget(id: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#api.call('DELETE', `/v1/jobs/${id}`, signal, {
        ...{ patience: 'none', withinMs: this.#limits.forgetMs },
      });
    } catch {
      // It goes by itself a day after its end.
    }
  }

  #foreign({ status }: Reply): UserError {
    return new UserError(`what answers on ${this.name} is no API of Shoal (status ${status}).`);
  }

  #refuse({ status, body }: Reply, good: readonly number[]): void {
    if (good.includes(status)) return;
    const detail = detailOf(body);
    if (status === 401) {
      throw new UserError(`${this.name} wants a key: set SHOAL_TEACHER_KEY to one of its SHOAL_API_KEYS (${detail}).`);
    }
    if (detail === undefined) throw this.#foreign({ status, body });
    throw new UserError(`${this.name} refuses what it is asked: ${detail}.`);
  }
}

/** A text says why not all of it was answered, or that it was not by such a model. */
function outputsOf({ status, output, error, errors }: JobView, original: Model): WireOutput[] | string {
  const [first] = errors;
  if (error !== null) return error.detail;
  if (first !== undefined) return `${first.detail} (text ${first.index + 1})`;
  if (status !== 'completed') return `the job is ${status}`;
  try {
    return outputsIn(output, original);
  } catch (thrown) {
    if (thrown instanceof ShoalError) return thrown.message;
    throw thrown;
  }
}
