/**
 * The process of one trial: it gets an order, makes a candidate or measures one, says how that ended, and is ended by whoever
 * started it. What brings it down brings down one trial.
 */
import { Worker } from 'node:worker_threads';
import { ShoalError } from '@shoal/contracts';
import { openRuntime } from '@shoal/onnxruntime';
import { seededRandom } from '@shoal/training';
import { openCandidate } from '../candidate-folder.js';
import { cpuTime } from '../cpu-time.js';
import { readData } from '../data/read-data.js';
import { compare } from '../evaluate/compare.js';
import { printOfModel } from '../journal/keys.js';
import { Stale } from '../stale.js';
import { KeptPages } from '../teacher/kept-pages.js';
import type { Answering } from '../teacher/types.js';
import type { Context, Data, Method } from '../types.js';
import { askRun } from './ask-run.js';
import type {
  AnswersOrder,
  MakeOrder,
  MeasureOrder,
  SubjectOrder,
  TrialMessage,
  TrialOrder,
  TrialReply,
} from './messages.js';

/** Least interval in ms between two words about progress. */
const PROGRESS_MS = 200;
/** Longest reason that is told. */
const MOST_REASON = 500;

function tell(message: TrialMessage): void {
  process.send?.(message);
}

async function carryOut(order: TrialOrder): Promise<TrialReply> {
  const context = await contextOf(order.kind === 'make' ? order.seed : 1);
  await refuseOther(order.subject, context.signal);
  const reply = order.kind === 'make' ? await make(order, context) : await measure(order, context);
  // It may have been replaced meanwhile: which of the two was read, nobody knows.
  await refuseOther(order.subject, context.signal);
  return reply;
}

async function make({ answers, ...order }: MakeOrder, given: Context): Promise<TrialReply> {
  const { methods, candidate, subject, from, path, state } = order;
  const context = { ...given, state, ...(answers !== undefined && { answers: answering(answers) }) };
  const { METHODS } = (await import(methods)) as { readonly METHODS: readonly Method[] };
  const method = METHODS.find(({ name }) => name === candidate.method)!;
  const { original, path: own, metric } = subject;
  const about = { original, path: from ?? own, data: dataOf(subject), metric };
  const made = await method.make(candidate, about, path, context);
  return { kind: 'made', made };
}

async function measure({ subject, folder, part, options }: MeasureOrder, context: Context): Promise<TrialReply> {
  const candidate = await openCandidate(folder, subject.original.version);
  const examples = dataOf(subject)[part];
  return { kind: 'measured', comparison: await compare(subject.original, candidate, examples, options, context) };
}

async function refuseOther({ original, path, print }: SubjectOrder, signal: AbortSignal): Promise<void> {
  if ((await printOfModel(original, path, signal)) === print) return;
  throw new Stale(
    `${original.folder} was changed while the run went on: the same command begins with what is in it now`,
  );
}

function dataOf({ dataFile, dataSha256, original }: SubjectOrder): Data {
  const data = readData(dataFile, original);
  if (data.sha256 === dataSha256) return data;
  throw new Stale(`${dataFile} was changed while the run went on: the same command begins with what is in it now`);
}

function answering({ folder, print, elsewhere }: AnswersOrder): Answering {
  const seldom = throttle();
  return {
    ...{ print, kept: new KeptPages(folder), elsewhere: elsewhere === undefined ? undefined : askRun(elsewhere, tell) },
    onAnswered: (progress) => seldom(() => tell({ kind: 'answered', progress }), progress.done === progress.total),
  };
}

/** Does what it is given as often as there may be words about progress; what has to be done always. */
function throttle(): (what: () => void, always?: boolean) => void {
  let done = Number.NEGATIVE_INFINITY;
  return (what, always = false) => {
    const at = performance.now();
    if (!always && at - done < PROGRESS_MS) return;
    done = at;
    what();
  };
}

async function contextOf(seed: number): Promise<Context> {
  const seldom = throttle();
  const now = () => performance.now();
  return {
    ...{ now, cpu: cpuTime, runtime: await openRuntime(), random: seededRandom(seed) },
    // Whoever stops a trial ends its process.
    signal: new AbortController().signal,
    say: (line) => tell({ kind: 'say', line }),
    onProgress: (share) => seldom(() => tell({ kind: 'progress', share })),
  };
}

function replyOf(error: unknown): TrialReply {
  const message = error instanceof Error ? error.message : String(error);
  const reason = (message.split('\n')[0] ?? '').slice(0, MOST_REASON);
  if (error instanceof Stale) return { kind: 'stale', reason };
  if (error instanceof ShoalError && error.code !== 'internal_error') return { kind: 'refused', reason };
  return { kind: 'failed', reason, code: systemCodeOf(error) };
}

/** As `ENOSPC`, of the error or of what caused it. */
function systemCodeOf(error: unknown): string | undefined {
  for (let next = error; next instanceof Error; next = next.cause) {
    if ('syscall' in next && 'code' in next) return String(next.code);
  }
  return undefined;
}

// The number of the parent, which may be gone before this is read.
const [parent, held] = process.argv.slice(2);
new Worker(new URL('./watch-parent.js', import.meta.url), { workerData: { parent: Number(parent), held } }).unref();
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.on('uncaughtException', (error) => tell(replyOf(error)));
process.once('message', (order) => {
  carryOut(order as TrialOrder).then(tell, (error: unknown) => tell(replyOf(error)));
});
