/** Inputs as jobs of a running server: sent once, waited for, read and deleted, and cancelled where their reader stops. */
import { randomUUID } from 'node:crypto';
import { isTerminal, type JobView, type Priority, type Task } from '@shoal/contracts';
import { followJob } from './follow-job.js';
import { detailOf, type Reply } from './patient-api.js';
import type { Input } from './predict-inputs.js';
import type { Server } from './server.js';

/** Longest time in seconds that one call waits for a job. */
const WAIT = 60;
/** Time in ms in which the server has to forget or to cancel a job. */
const FORGET_MS = 10_000;
/** Inputs of one job: as many as travel together. */
const MOST_INPUTS = 64;
/** Answers that say what is wrong with an input: statuses. */
const [TOO_LARGE, FAULTY] = [413, [400, 422]] as const;

export interface JobOptions {
  readonly model: string;
  readonly task: Task;
  /** Of rerank: what each input, a text, is ranked for. */
  readonly query: string | undefined;
  /** Of text generation: whether a text is what somebody says in a conversation; else it is what goes on. */
  readonly chats: boolean;
  readonly parameters: Readonly<Record<string, unknown>> | undefined;
  readonly priority: Priority | undefined;
  readonly maxAccuracyLoss: number | undefined;
  /** Seconds that a job may take from its submission. */
  readonly timeout: number | undefined;
  readonly keepGoing: boolean;
  /** Jobs are left to expire. */
  readonly keep: boolean;
  /** Where the text of an answer goes as it grows; undefined: nowhere. */
  readonly onText: ((text: string) => void) | undefined;
}

export interface Fault {
  readonly code: string;
  readonly detail: string;
  /** The server would not take it; else it took it, and its job failed. */
  readonly refused: boolean;
}

export interface Answer {
  readonly input: Input;
  readonly output?: unknown;
  readonly fault?: Fault;
}

interface Submission {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  id?: string;
}

export class PredictJobs {
  readonly #server: Server;
  readonly #options: JobOptions;
  readonly #signal: AbortSignal;
  readonly #open = new Set<Submission>();
  readonly #run = randomUUID();
  #made = 0;

  constructor(server: Server, options: JobOptions, signal: AbortSignal) {
    this.#server = server;
    this.#options = options;
    this.#signal = signal;
  }

  /** How many jobs were made. */
  get made(): number {
    return this.#made;
  }

  /** Most of them that make one: of a task or parameters whose answers have no size that is known before, one does. */
  get inputsPerJob(): number {
    const { task, parameters } = this.#options;
    const large = task === 'text-generation' || task === 'tensors' || parameters?.pooling === 'none';
    return large ? 1 : MOST_INPUTS;
  }

  /**
   * In the order of the inputs; without `keepGoing` up to the first that has a fault.
   *
   * @throws UserError where what is asked for is wrong, not an input of it; the signal's reason
   */
  async answer(inputs: readonly Input[]): Promise<readonly Answer[]> {
    const answers = new Map<Input, Answer>();
    for (const input of inputs) {
      const detail = input.fault ?? this.#unfit(input);
      if (detail !== undefined) answers.set(input, { input, fault: refusedFor(detail) });
    }
    for (;;) {
      const left = this.#unanswered(inputs, answers);
      if (left.length === 0) return inputs.flatMap((input) => answers.get(input) ?? []);
      for (const answer of await this.#send(left)) answers.set(answer.input, answer);
    }
  }

  /** What is under way is cancelled; resolves to the number of these jobs. */
  async cancel(): Promise<number> {
    const cancelled = await Promise.all([...this.#open].map((submission) => this.#forget(submission)));
    return cancelled.filter(Boolean).length;
  }

  /** Those that are worth sending. */
  #unanswered(inputs: readonly Input[], answers: ReadonlyMap<Input, Answer>): readonly Input[] {
    const end = this.#options.keepGoing ? -1 : inputs.findIndex((input) => answers.get(input)?.fault !== undefined);
    return (end === -1 ? inputs : inputs.slice(0, end)).filter((input) => !answers.has(input));
  }

  /** Answers to some of them at least. */
  async #send(inputs: readonly Input[]): Promise<readonly Answer[]> {
    const submission = this.#submissionOf(inputs);
    this.#open.add(submission);
    const { headers, body } = submission;
    const reply = await this.#server.ask('POST', '/v1/jobs', {
      ...{ signal: this.#signal, headers, body, good: [200, 202, TOO_LARGE, ...FAULTY] },
    });
    if (reply.status !== 200 && reply.status !== 202) {
      this.#open.delete(submission);
      return await this.#refused(inputs, reply);
    }
    const { id } = reply.body as Partial<JobView>;
    if (typeof id !== 'string') throw this.#server.refusal({ ...reply, body: undefined });
    submission.id = id;
    if (this.#options.onText !== undefined) await this.#showText(id, this.#options.onText);
    const job = await this.#end(id);
    if (this.#options.keep) this.#open.delete(submission);
    else await this.#forget(submission);
    return inputs.map((input, index) => answerOf(input, index, job));
  }

  #submissionOf(inputs: readonly Input[]): Submission {
    const { model, task, parameters, priority, maxAccuracyLoss, timeout } = this.#options;
    this.#made += 1;
    const input = inputs.map(({ value }) => this.#inputOf(value));
    const body = {
      ...{ model, task, input, parameters, priority },
      ...{ max_accuracy_loss: maxAccuracyLoss, deadline: timeout },
    };
    // The same job, however often it is sent.
    return { body, headers: { 'idempotency-key': `shoal-predict-${this.#run}-${this.#made}` } };
  }

  #inputOf(value: unknown): unknown {
    const { query, chats } = this.#options;
    if (query !== undefined) return { query, documents: [value] };
    return chats && typeof value === 'string' ? { messages: [{ role: 'user', content: value }] } : value;
  }

  /** @throws UserError where it is no input that is at fault */
  async #refused(inputs: readonly Input[], reply: Reply): Promise<readonly Answer[]> {
    const [first] = inputs;
    const { code = 'invalid_request' } = (reply.body ?? {}) as { readonly code?: string };
    if (reply.status === TOO_LARGE) {
      const half = Math.ceil(inputs.length / 2);
      if (inputs.length > 1) return await this.#send(inputs.slice(0, half));
      const detail = detailOf(reply.body) ?? 'is larger than the server takes';
      return [{ input: first!, fault: { code, detail, refused: true } }];
    }
    const faults = faultsIn(reply.body, inputs);
    if (faults.length === 0) throw this.#server.refusal(reply);
    return faults.map(([input, detail]) => ({ input, fault: { code, detail, refused: true } }));
  }

  async #showText(id: string, write: (text: string) => void): Promise<void> {
    for await (const { type, data } of followJob(this.#server, id, this.#signal)) {
      const { choice, text } = (data ?? {}) as { readonly choice?: unknown; readonly text?: unknown };
      if (type === 'job.text' && choice === 0 && typeof text === 'string') write(text);
    }
  }

  /** The job when it has ended; undefined where it is there no more. */
  async #end(id: string): Promise<JobView | undefined> {
    for (;;) {
      const path = `/v1/jobs/${encodeURIComponent(id)}?wait=${WAIT}`;
      const reply = await this.#server.ask('GET', path, { signal: this.#signal, good: [200, 404] });
      if (reply.status === 404) return undefined;
      const job = reply.body as JobView;
      if (isTerminal(job.status)) return job;
    }
  }

  /** Leaves nothing of it; with `keep` it is cancelled. Resolves to whether the server has done so. */
  async #forget(submission: Submission): Promise<boolean> {
    this.#open.delete(submission);
    const limits = { patience: 'none', withinMs: FORGET_MS } as const;
    try {
      const id = submission.id ?? (await this.#idOf(submission));
      if (id === undefined) return false;
      const path = `/v1/jobs/${encodeURIComponent(id)}`;
      if (this.#options.keep) await this.#server.ask('POST', `${path}/cancel`, limits);
      else await this.#server.ask('DELETE', path, { ...limits, good: [204, 404] });
      return true;
    } catch {
      // It goes by itself a day after its end.
      return false;
    }
  }

  /** Of one whose answer was not waited for: sent again it is the same job. */
  async #idOf({ headers, body }: Submission): Promise<string | undefined> {
    const limits = { patience: 'none', withinMs: FORGET_MS } as const;
    const { body: told } = await this.#server.ask('POST', '/v1/jobs', { ...limits, headers, body, good: [200, 202] });
    const { id } = told as Partial<JobView>;
    return id;
  }

  #unfit({ value }: Input): string | undefined {
    return this.#options.query === undefined || typeof value === 'string'
      ? undefined
      : 'must be a text, to go with --query';
  }
}

function refusedFor(detail: string): Fault {
  return { code: 'invalid_request', detail: `the input ${detail}`, refused: true };
}

/** Where an input has a fault; what a text was put into is nothing that its reader has written. */
const PLACE = /^input\[(\d+)\](?:\.documents\[0\]|\.messages\[0\]\.content)?\.?(.*)$/s;

/** The inputs that are named as faulty, and what is said of each. */
function faultsIn(body: unknown, inputs: readonly Input[]): (readonly [Input, string])[] {
  const { errors } = (body ?? {}) as { readonly errors?: unknown };
  if (!Array.isArray(errors)) return [];
  const told = new Map<Input, string>();
  for (const { path, message } of errors as readonly { readonly path?: unknown; readonly message?: unknown }[]) {
    const [, place, field = ''] = PLACE.exec(String(path)) ?? [];
    const input = place === undefined ? undefined : inputs[Number(place)];
    if (input !== undefined && !told.has(input)) told.set(input, `${field === '' ? 'the input' : field} ${message}`);
  }
  return [...told];
}

function answerOf(input: Input, index: number, job: JobView | undefined): Answer {
  if (job === undefined) return { input, fault: failedBy('job_not_found', 'its job was deleted before it was read') };
  const { status, output, error, errors } = job;
  const own = errors.find((one) => one.index === index) ?? error;
  if (own !== null) return { input, fault: failedBy(own.code, own.detail) };
  if (status !== 'completed' || !Array.isArray(output))
    return { input, fault: failedBy(status, `its job is ${status}`) };
  return { input, output: output[index] as unknown };
}

function failedBy(code: string, detail: string): Fault {
  return { code, detail, refused: false };
}
