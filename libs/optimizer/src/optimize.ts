/**
 * `shoal optimize`: from a model and examples to variants that were shown to be faster and to lose no more than is allowed. What can
 * be made is tried within a time limit, the most promising first; each trial is noted as it ends, so that a run that was ended
 * goes on where it was.
 */
import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type GraphIdentity, ShoalError, type Task } from '@shoal/contracts';
import { identityOf, type Model, machineOf, weightBytes, wordsOf } from '@shoal/models';
import { choosingMetric, metricFor } from './evaluate/metrics.js';
import { ALPHA } from './gate/bound.js';
import { LEAST_ALPHA } from './gate/spending.js';
import { printOfModel, shoalVersion } from './journal/keys.js';
import type { FolderLock } from './journal/lock.js';
import { readQuality } from './quality/quality-file.js';
import { tableLines } from './report/table.js';
import type { RunState } from './report/types.js';
import { durationOf, lossWords, OUTCOMES, speedWords } from './report/words.js';
import { Agenda } from './run/agenda.js';
import { Allotments } from './run/allotments.js';
import { diskFull, isDiskFull } from './run/disk-full.js';
import { chooseFinalists, type Measured } from './run/finalists.js';
import { isTaken, passOrRefuse, type Sureness } from './run/gate.js';
import { Pace } from './run/pace.js';
import { nothingToTry, type Plan, planOf } from './run/plan.js';
import { planLines } from './run/plan-lines.js';
import { Rows } from './run/rows.js';
import { methodsOf } from './run/stack.js';
import { behindParts, type Follows, followsBy, nextStack, possibleStacks } from './run/stacks.js';
import { openSubject } from './run/subject.js';
import type { Common } from './run/trial-keys.js';
import { type MadeEntry, Trials } from './run/trials.js';
import type { OptimizeContext, Optimized, OptimizeRequest } from './run/types.js';
import { Watch } from './run/watch.js';
import { type Notes, withNotes } from './run/with-notes.js';
import type { MeasureOptions } from './trial/messages.js';
import type { Candidate, Data, Subject } from './types.js';

/** Of verdicts by texts that have judged very much. */
const USED_UP =
  'the texts for its verdict have judged so many candidates that another verdict by them would prove nothing: give new texts';

/** What both a plan and a run begin with. */
interface Prepared {
  readonly subject: Subject;
  readonly plan: Plan;
  readonly about: Omit<RunState, 'rows' | 'at' | 'state' | 'spent'>;
  readonly machine: string;
  readonly folder: string;
}

/**
 * Shows what would be tried, and tries nothing.
 *
 * @throws ShoalError saying in a line what is wrong with the model, the data or the methods
 */
export async function showPlan(request: OptimizeRequest, context: OptimizeContext): Promise<void> {
  await openRun(request, context, async (run) => run.showPlan());
}

/**
 * Resolves when all is decided or time is up. What passed is a variant of the version then, with its figures in quality.json; of what
 * was refused nothing is left but a line in the journal and in the report.
 *
 * @throws ShoalError as showPlan, and where the disk is full; the signal's reason. The same request goes on with it afterwards
 */
export async function optimize(request: OptimizeRequest, context: OptimizeContext): Promise<Optimized> {
  return await openRun(request, context, async (run) => {
    await run.showPlan();
    return await run.carryOut();
  });
}

async function openRun<T>(
  request: OptimizeRequest,
  context: OptimizeContext,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  const prepared = await prepare(request, context);
  try {
    mkdirSync(prepared.folder, { recursive: true });
    return await withNotes(prepared.folder, context, async (notes) => {
      const signal = AbortSignal.any([context.signal, notes.lock.lost]);
      return await work(await Run.open(request, { ...context, signal }, prepared, notes));
    });
  } catch (error) {
    throw isDiskFull(error) ? diskFull(prepared.folder, error) : error;
  }
}

async function prepare(request: OptimizeRequest, context: OptimizeContext): Promise<Prepared> {
  const { table, runtime, teacher } = context;
  const opened = await openSubject(request.models, request.model, request.data);
  const { original, data } = opened;
  // Before anything is made in vain.
  const metric = metricFor(original, data.verdict, request.allowed.metric);
  const choosing = choosingMetric(original, data.choice, request.allowed.metric);
  const subject: Subject = { ...opened, metric: choosing };
  const before = await keptBefore(original);
  teacher?.check(original);
  const plan = await planOf(subject, table.methods, request.methods, { seconds: request.seconds });
  // Before anything is written: a page of an earlier run stays.
  if (plan.candidates.length === 0) throw new ShoalError('invalid_request', nothingToTry(original, plan));
  const machine = wordsOf(await machineOf(runtime));
  const model = `${original.name}@${original.version}`;
  return {
    ...{ subject, plan, machine, folder: join(request.to, model) },
    about: {
      ...{ model, task: original.task, machine, allowed: request.allowed.loss, data: dataWordsOf(data, original.task) },
      ...{ metric, choosing, before },
      original: { variant: original.variant, bytes: await weightBytes(original) },
      impossible: plan.impossible,
    },
  };
}

/**
 * What was measured of variants that are there.
 *
 * @throws ShoalError `model_invalid` where it was measured beside another original: that stays, and figures are of one
 */
async function keptBefore({ folder, variant, variants }: Model): Promise<RunState['before']> {
  const before = await readQuality(folder);
  if (before === undefined) return {};
  if (before.original === variant) {
    return Object.fromEntries(Object.entries(before.variants).filter(([name]) => variants[name] !== undefined));
  }
  throw new ShoalError(
    'model_invalid',
    `quality.json in ${folder} holds what variants lose beside ${before.original}, and here ${variant} is the original: delete it first`,
  );
}

function dataWordsOf({ file, calibration, choice, verdict, unused = [] }: Data, task: Task): RunState['data'] {
  const { kind } = verdict;
  const labelled = verdict.labelled && task === 'text-classification';
  const others = verdict.labelled && !labelled ? ['label', ...unused] : unused;
  const what = { text: labelled ? 'labelled texts' : 'texts', pair: 'pairs', ranking: 'queries', entities: 'texts' }[
    kind
  ];
  const [learn, choose, judged] = [calibration, choice, verdict].map(({ items }) => items.length);
  return { file: basename(file), what, calibration: learn!, choice: choose!, verdict: judged!, unused: others };
}

class Run {
  readonly #request: OptimizeRequest;
  readonly #context: OptimizeContext;
  readonly #lock: FolderLock;
  readonly #prepared: Prepared;
  readonly #pace: Pace;
  readonly #trials: Trials;
  readonly #agenda: Agenda;
  readonly #rows: Rows;
  readonly #watch: Watch;
  readonly #choosing: MeasureOptions;
  readonly #follows: Follows;
  /** All that there could be. */
  readonly #stacks: readonly Candidate[];
  readonly #allotments: Allotments;
  readonly #beside: GraphIdentity;

  static async open(
    request: OptimizeRequest,
    context: OptimizeContext,
    prepared: Prepared,
    notes: Notes,
  ): Promise<Run> {
    const { original, path, data } = prepared.subject;
    const beside = await identityOf(path, context.signal);
    const common = {
      original: await printOfModel(original, path, context.signal),
      data: data.sha256,
      versions: { shoal: shoalVersion(), onnxruntime: context.runtime.version },
    };
    return new Run(request, context, prepared, notes, { common, beside });
  }

  private constructor(
    request: OptimizeRequest,
    context: OptimizeContext,
    prepared: Prepared,
    { journal, lock }: Notes,
    { common, beside }: { readonly common: Common; readonly beside: GraphIdentity },
  ) {
    const { subject, plan, machine, folder } = prepared;
    const { metric, choosing } = prepared.about;
    const { now, date, signal, say, table } = context;
    this.#request = request;
    this.#context = context;
    this.#lock = lock;
    this.#prepared = prepared;
    this.#beside = beside;
    this.#choosing = { metric: choosing, alpha: ALPHA };
    this.#follows = followsBy(table.methods);
    this.#stacks = possibleStacks(plan.candidates, this.#follows);
    const texts = subject.data.verdict;
    this.#allotments = new Allotments({ journal, original: common.original, texts, metric, date });
    const about = { ...prepared.about, spent: this.#allotments.spent };
    this.#pace = new Pace(subject);
    this.#trials = new Trials({
      ...{ subject, folder, journal, lock, common, machine, methods: table.module, pace: this.#pace },
      teacher: context.teacher,
      context: {
        ...{ now, date, signal, say, onProgress: (share) => this.#watch.progress(share) },
        onAnswered: (progress) => this.#watch.answered(progress),
      },
    });
    this.#agenda = new Agenda({
      ...{ subject, now, pace: this.#pace, trials: this.#trials, choice: this.#choosing, stacks: this.#stacks },
      deadline: now() + 1000 * request.seconds,
    });
    this.#rows = new Rows(plan.candidates);
    const page = join(folder, 'report.html');
    this.#watch = new Watch({ rows: this.#rows, agenda: this.#agenda, context, about, page });
  }

  /** @throws ShoalError `invalid_request` where not even the first candidate would come to its verdict */
  async showPlan(): Promise<void> {
    const { plan } = this.#prepared;
    const times = plan.candidates.map((candidate) => this.#agenda.timeOf(candidate));
    const open = times.filter(({ make, measure }) => make + measure > 0);
    const methods = new Set(open.map(({ candidate }) => candidate.method));
    const totals = { verdicts: this.#agenda.verdicts(methods.size), stacks: this.#agenda.stacks() };
    this.#refuseWithoutTime(plan.candidates[0]!);
    const lines = planLines(this.#watch.state('running'), times, { ...totals, limit: this.#request.seconds });
    for (const line of lines) this.#context.say(line);
  }

  async carryOut(): Promise<Optimized> {
    const { plan } = this.#prepared;
    this.#trials.clean([...plan.candidates, ...this.#stacks]);
    // The page of a run before says that it has ended.
    this.#watch.write('running');
    let ended: RunState['state'] = 'stopped';
    try {
      for (const candidate of plan.candidates) await this.#choose(candidate);
      await this.#chooseStacks();
      await this.#judge();
      // What a stack begins from may have been made again for it.
      this.#trials.clean(
        this.#rows.all
          .filter(({ outcome }) => outcome === 'left_out' || outcome === 'taken')
          .map(({ candidate }) => candidate),
      );
      ended = 'ended';
    } finally {
      // Else the page is that of the run which has taken over.
      if (!this.#lock.lost.aborted) this.#watch.write(ended);
    }
    return { rows: this.#rows.all, report: this.#watch.page, lines: tableLines(this.#watch.write('ended')) };
  }

  /** @throws ShoalError `invalid_request` where not even the first candidate would come to its verdict */
  #refuseWithoutTime(first: Candidate): void {
    const missing = this.#agenda.missingFor(first, []);
    if (missing === 0) return;
    const { seconds } = this.#request;
    throw new ShoalError(
      'invalid_request',
      `${durationOf(seconds)} are too short for anything: ${first.variant} alone takes about ${durationOf(seconds + missing)} (--time)`,
    );
  }

  /** Makes a candidate and measures it on the choice part. */
  async #choose(candidate: Candidate): Promise<void> {
    const missing = this.#agenda.missingFor(
      candidate,
      this.#rows.all.filter(({ choice }) => choice !== undefined),
    );
    if (await this.#isTaken(candidate)) {
      const reason = `${this.#prepared.about.model} has another variant ${candidate.variant} already: --force replaces it, "shoal evaluate" measures it`;
      this.#rows.end(candidate, 'taken', reason);
    } else if (missing > 0) {
      this.#rows.end(candidate, 'left_out', this.#wanted(missing));
    } else {
      const { make, measure } = this.#agenda.timeOf(candidate);
      this.#watch.begin(`${candidate.variant} is made`, make);
      if (!this.#rows.note(candidate, await this.#trials.make(candidate, this.#agenda.left)))
        return this.#told(candidate);
      this.#watch.begin(`${candidate.variant} is measured`, measure);
      this.#rows.note(candidate, await this.#trials.measure(candidate, 'choice', this.#choosing, this.#agenda.left));
      const behind = behindParts(this.#rows.of(candidate), this.#rows.of, this.#request.allowed.loss);
      if (behind !== undefined) this.#rows.end(candidate, behind.outcome, behind.reason);
    }
    this.#told(candidate);
  }

  /** What helped is put together, one part at a time, for as long as that is ahead of the parts. */
  async #chooseStacks(): Promise<void> {
    for (;;) {
      const stack = nextStack(this.#rows.all, this.#follows, this.#request.allowed.loss);
      if (stack === undefined) return;
      this.#rows.add(stack);
      await this.#choose(stack);
    }
  }

  /** The best of each method; all that are judged by the same texts, in whichever command, share the error of 5 %. */
  async #judge(): Promise<void> {
    const { allowed, force } = this.#request;
    const measured: Measured[] = this.#rows.all.flatMap(({ candidate, choice, outcome }) =>
      choice === undefined || outcome !== 'waiting' ? [] : [{ candidate, comparison: choice }],
    );
    const { finalists, outdone, hopeless } = chooseFinalists(measured, allowed.loss, force);
    for (const { measured: one, by } of outdone) {
      this.#rows.end(
        one.candidate,
        'outdone',
        `${by.candidate.variant} is the better one of ${methodsOf(by.candidate)}`,
      );
      this.#trials.discard(one.candidate);
    }
    for (const { candidate, comparison } of hopeless) {
      const { mean } = comparison.loss;
      const slow = mean <= allowed.loss;
      const what = slow ? 'at no shape it may be faster' : 'it loses more than is allowed';
      this.#rows.end(candidate, 'refused', `${what}, by the texts that choices are made by`);
      this.#trials.discard(candidate);
    }
    for (const { candidate } of finalists) this.#rows.end(candidate, 'finalist');
    this.#watch.write('running');
    const made = finalists.map(({ candidate }) => {
      return { candidate, sha256: (this.#trials.known(candidate) as MadeEntry).sha256 };
    });
    // All at once: they share what this command has.
    this.#allotments.allot(made);
    for (const { candidate, sha256 } of made) {
      const { measuring } = this.#surenessOf(candidate, sha256);
      const expected = this.#trials.knownMeasure(candidate, 'verdict', measuring) ? 0 : this.#agenda.verdicts(1);
      const missing = expected - this.#agenda.left() / 1000;
      this.#watch.begin(`${candidate.variant} is judged`, expected);
      if (expected > 0 && missing > 0) this.#rows.end(candidate, 'left_out', this.#wanted(missing));
      else await this.#pass(candidate);
      this.#told(candidate);
    }
  }

  async #pass(candidate: Candidate): Promise<void> {
    const surenessOf = (sha256: string) => this.#surenessOf(candidate, sha256);
    await passOrRefuse(candidate, surenessOf, this.#agenda.left, this.#gate());
  }

  /** By what the texts have judged before. */
  #surenessOf(candidate: Candidate, sha256: string): Sureness {
    const alpha = this.#allotments.allot([{ candidate, sha256 }]).get(candidate);
    const { metric } = this.#prepared.about;
    return alpha === undefined
      ? { measuring: { metric, alpha: LEAST_ALPHA }, veto: USED_UP }
      : { measuring: { metric, alpha } };
  }

  #wanted(missing: number): string {
    return `about ${durationOf(missing)} more would be needed (--time)`;
  }

  async #isTaken(candidate: Candidate): Promise<boolean> {
    return await isTaken(candidate, this.#gate());
  }

  #gate() {
    const { subject, machine } = this.#prepared;
    const { allowed, force } = this.#request;
    const { signal } = this.#context;
    return {
      ...{ subject, machine, allowed, force, signal, beside: this.#beside },
      ...{ trials: this.#trials, rows: this.#rows, lock: this.#lock },
    };
  }

  /** What came of a candidate so far; the page is written anew. */
  #told(candidate: Candidate): void {
    const { outcome, reason, choice, verdict } = this.#rows.of(candidate);
    const figures = verdict ?? choice;
    const measured = figures && `${speedWords(figures.speeds[0]!)}, loses ${lossWords(figures.loss)}`;
    const decided = outcome === 'waiting' ? undefined : [OUTCOMES[outcome], reason].filter(Boolean).join(': ');
    this.#watch.write('running');
    this.#watch.tell(candidate, [measured, decided].filter(Boolean).join('; '));
  }
}
