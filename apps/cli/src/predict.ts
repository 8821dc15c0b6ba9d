/** `shoal predict`: answers of a running server to a text, or to the lines of an input, in their order as they come. */
import { once } from 'node:events';
import type { ModelCard, Priority, Task } from '@shoal/contracts';
import { UserError } from '@shoal/tools/user-error';
import type { Config } from './config.js';
import { fileInputs, type Input, type Inputs, inOrder, jobsOf, streamInputs, textInput } from './predict-inputs.js';
import { type Answer, type JobOptions, PredictJobs } from './predict-jobs.js';
import { jsonLineOf, lineOf, textIn } from './predict-shown.js';
import { printable } from './printable.js';
import { barOf, ProgressDisplay, Rate, terminal, timeOf } from './progress.js';
import { Refused } from './refused.js';
import { openServer, type Server, type ServerOptions } from './server.js';
import { Interrupted, untilSignal } from './signals.js';

/** What `shoal predict` was asked for. */
export interface PredictRequest extends ServerOptions {
  /** A name of a model, as requests have it. */
  readonly model: string;
  /** `-`: each line of stdin; undefined: the same where nobody types it. */
  readonly text: string | undefined;
  readonly file: string | undefined;
  /** Of a CSV; undefined: `text`. */
  readonly column: string | undefined;
  readonly query: string | undefined;
  /** Of a model that chats: texts go on, and are not answered. */
  readonly complete: boolean;
  readonly parameters: Readonly<Record<string, unknown>> | undefined;
  readonly priority: Priority | undefined;
  /** A share. */
  readonly maxAccuracyLoss: number | undefined;
  /** Seconds that each job may take. */
  readonly timeout: number | undefined;
  readonly json: boolean;
  readonly keepGoing: boolean;
  readonly keep: boolean;
}

/** Jobs under way at once. */
const UNDER_WAY = 6;

/** @throws UserError in one line for what is wrong, Refused where a job has failed, Interrupted behind a signal */
export async function predict(request: PredictRequest, config: Config): Promise<void> {
  const display = new ProgressDisplay(terminal());
  const say = (line: string) => console.error(`shoal: ${line}`);
  const server = openServer(config, request, say);
  let stopped: NodeJS.Signals | undefined;
  const reasonOf = (signal: NodeJS.Signals) => {
    stopped = signal;
    return new UserError('stopped');
  };
  await untilSignal(reasonOf, async (signal) => {
    const { task, chats } = await readCard(server, request, signal);
    const inputs = inputsOf(request);
    const writer = new Writer(request, task);
    const jobs = new PredictJobs(server, { ...optionsOf(request, task, writer), chats }, signal);
    const abort = () => inputs.close();
    signal.addEventListener('abort', abort);
    try {
      await writeAll(inputs, jobs, writer, new Progress(display, inputs, jobs));
    } catch (error) {
      const cancelled = await jobs.cancel();
      if (stopped === undefined) throw error;
      throw new Interrupted(
        stopped,
        `stopped: ${counted(writer.written, 'result')} written, ${counted(cancelled, 'job')} cancelled.`,
      );
    } finally {
      signal.removeEventListener('abort', abort);
      inputs.close();
    }
    // A stream that was closed by the signal ends as one that is over.
    if (stopped !== undefined) throw new Interrupted(stopped, `stopped: ${counted(writer.written, 'result')} written.`);
    if (writer.faults > 0) throw new Refused(`${writer.faults} of ${writer.written} inputs have no answer.`);
  });
}

/** What the model does, and whether the texts are said to it. */
async function readCard(server: Server, { model, query, file, complete }: PredictRequest, signal: AbortSignal) {
  const path = `/v1/models/${encodeURIComponent(model)}`;
  const { body } = await server.ask('GET', path, { signal, patience: 'busy' });
  const { task, example } = body as Partial<ModelCard>;
  if (task === undefined) throw server.refusal({ status: 200, body: undefined });
  if (query !== undefined && task !== 'rerank') {
    throw new UserError(`--query is for models that rank documents; ${model} does ${task}.`);
  }
  if (query === undefined && task === 'rerank' && !file?.toLowerCase().endsWith('.jsonl')) {
    throw new UserError(
      `${model} ranks documents: name by --query what for, or {"query", "documents"} in a .jsonl file.`,
    );
  }
  // Its example is a conversation where it has a chat template.
  const { input } = (example?.request ?? {}) as { readonly input?: unknown };
  const chats = !complete && typeof input === 'object' && input !== null && 'messages' in input;
  return { task, chats };
}

function inputsOf({ text, file, column }: PredictRequest): Inputs {
  if (file !== undefined && text !== undefined) throw new UserError('there is a text and a --file: leave out one.');
  if (file !== undefined) return fileInputs(file, column);
  if (column !== undefined) throw new UserError('--column is for --file <name>.csv.');
  if (text !== undefined && text !== '-') return textInput(text);
  if (text === undefined && process.stdin.isTTY) {
    throw new UserError('there is nothing to answer: give a text, a --file, or lines on stdin ("-" to type them).');
  }
  return streamInputs(process.stdin, 'the input');
}

function optionsOf(request: PredictRequest, task: Task, writer: Writer): Omit<JobOptions, 'chats'> {
  const { n = 1 } = request.parameters ?? {};
  const one = request.text !== undefined && request.text !== '-';
  const grows = one && task === 'text-generation' && n === 1 && !request.json && process.stdout.isTTY;
  return { ...request, task, onText: grows ? (text) => writer.grow(text) : undefined };
}

/** @throws UserError at the first fault, unless the others are to go on */
async function writeAll(inputs: Inputs, jobs: PredictJobs, writer: Writer, progress: Progress): Promise<void> {
  try {
    const source = jobsOf(inputs.pieces, jobs.inputsPerJob);
    for await (const answers of inOrder<readonly Input[], readonly Answer[]>(source, UNDER_WAY, (some) =>
      jobs.answer(some),
    )) {
      for (const answer of answers) await writer.write(answer);
      progress.show(writer.written, answers.at(-1)?.input.end ?? 0);
    }
  } finally {
    progress.end();
  }
}

/** Puts answers on stdout, no faster than they are read there. */
class Writer {
  readonly #request: PredictRequest;
  readonly #task: Task;
  /** What is there of an answer that grows. */
  #grown = '';
  written = 0;
  faults = 0;

  constructor(request: PredictRequest, task: Task) {
    this.#request = request;
    this.#task = task;
  }

  grow(text: string): void {
    this.#grown += text;
    process.stdout.write(printable(text));
  }

  async write(answer: Answer): Promise<void> {
    const line = this.#lineOf(answer);
    this.written += 1;
    if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain');
  }

  /** @throws UserError for a fault, unless it is to be told in its place */
  #lineOf(answer: Answer): string {
    const { json, keepGoing, text, query } = this.#request;
    const { input, output, fault } = answer;
    if (fault !== undefined) {
      const told = `line ${input.line}: ${fault.detail.replace(/\.$/, '')}`;
      if (!keepGoing) throw faultError(told, fault.refused, text !== undefined && text !== '-', this.written);
      this.faults += 1;
      return json ? jsonLineOf(answer) : `! ${printable(told)}`;
    }
    if (json) return jsonLineOf(answer);
    if (this.#task !== 'text-generation' || text === undefined || text === '-' || Array.isArray(output)) {
      return lineOf(answer, this.#task, query !== undefined);
    }
    // A single answer keeps its lines; what has been shown of it is not shown again.
    const whole = textIn(output);
    return printable(whole.startsWith(this.#grown) ? whole.slice(this.#grown.length) : whole);
  }
}

function faultError(told: string, refused: boolean, single: boolean, written: number): UserError {
  const [where, ...what] = told.split(': ');
  const advice = `${counted(written, 'result')} written before it; with --keep-going the others go on`;
  const message = single ? `${what.join(': ')}.` : `${where}: ${what.join(': ')} (${advice}).`;
  return refused ? new UserError(message) : new Refused(message);
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? ' was' : 's were'}`;
}

/** On a terminal, where results go elsewhere and there is more than one job. */
class Progress {
  readonly #display: ProgressDisplay;
  readonly #inputs: Inputs;
  readonly #jobs: PredictJobs;
  readonly #rate = new Rate();
  readonly #shareRate = new Rate();
  readonly #shown = process.stderr.isTTY && !process.stdout.isTTY;

  constructor(display: ProgressDisplay, inputs: Inputs, jobs: PredictJobs) {
    this.#display = display;
    this.#inputs = inputs;
    this.#jobs = jobs;
  }

  /** `end`: bytes of the inputs that have their results. */
  show(done: number, end: number): void {
    if (!this.#shown || this.#jobs.made < 2) return;
    const [now, { size }] = [performance.now(), this.#inputs];
    const rate = this.#rate.next(done, now);
    const speed = rate === undefined ? '' : `, ${Math.round(rate).toLocaleString('en')}/s`;
    const count = `${done.toLocaleString('en')} results${speed}`;
    this.#display.showLine(
      size === undefined ? `  ${count}` : `  ${this.#barAt(Math.min(1, end / size), now)}  ${count}`,
    );
  }

  #barAt(share: number, now: number): string {
    const perSecond = this.#shareRate.next(share, now);
    const left = perSecond === undefined || perSecond <= 0 ? '' : `, ${timeOf((1 - share) / perSecond)} left`;
    return `${barOf(share)} ${Math.floor(share * 100)} %${left}`;
  }

  end(): void {
    if (this.#shown) this.#display.next();
  }
}
