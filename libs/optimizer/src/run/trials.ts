/** The trials of a run: each is done once, in a process of its own, and the journal says how it ended. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ShoalError } from '@shoal/contracts';
import { graphIn, prepareCandidate } from '../candidate-folder.js';
import { ComparisonJson, type JudgedPart, MOST_REASON, type TrialEntry } from '../journal/entries.js';
import type { Journal } from '../journal/journal.js';
import { type GraphPrint, keyOf, printOfGraph } from '../journal/keys.js';
import type { FolderLock } from '../journal/lock.js';
import { askElsewhere } from '../teacher/ask-elsewhere.js';
import { cleanPages } from '../teacher/kept-pages.js';
import type { Answered, TeacherElsewhere } from '../teacher/types.js';
import type { AnswersOrder, MeasureOptions, SubjectOrder, TrialOrder } from '../trial/messages.js';
import type { AskElsewhere } from '../trial/relay.js';
import { runTrial, type TrialEnd } from '../trial/run-trial.js';
import type { Candidate, Made, Subject } from '../types.js';
import { diskFull } from './disk-full.js';
import { Pace } from './pace.js';
import { chainOf, methodsOf } from './stack.js';
import { type Common, makeKeyOf, measureKeyOf } from './trial-keys.js';

export interface TrialsContext {
  readonly now: () => number;
  readonly date: () => Date;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  readonly onProgress: (share: number) => void;
  /** How far the original's answers are, that a trial learns from. */
  readonly onAnswered: (progress: Answered) => void;
}

export interface TrialsOptions {
  readonly subject: Subject;
  /** URL of the module with the table of methods. */
  readonly methods: string;
  /** Where graphs that were made wait for their verdict. */
  readonly folder: string;
  readonly journal: Journal;
  readonly lock: Pick<FolderLock, 'path' | 'check'>;
  /** What all trials of this model, these data and these versions have in common. */
  readonly common: Common;
  /** Speeds are of one machine. */
  readonly machine: string;
  readonly context: TrialsContext;
  readonly pace: Pace;
  /** Whose answers methods learn from; undefined: the original's, computed in the processes of trials. */
  readonly teacher: TeacherElsewhere | undefined;
}

/** Of a trial; undefined: time ran out before its end. */
export type Ended = TrialEntry | undefined;
export type MadeEntry = Extract<TrialEntry, { kind: 'made' }>;

/** How long a trial may take: until the run's time is up, in ms. */
export type Left = () => number;

export class Trials {
  readonly #options: TrialsOptions;
  readonly #made: string;
  readonly #drafts: string;
  /** What candidates leave that are not made in one go, by their keys. */
  readonly #states: string;
  /** Answers of the original, of this run and of others. */
  readonly #answers: string;
  /** What the answers of this run are known by. */
  readonly #answersPrint: string;
  readonly #ask: AskElsewhere | undefined;

  constructor(options: TrialsOptions) {
    this.#options = options;
    this.#made = join(options.folder, 'made');
    this.#drafts = join(options.folder, 'drafts');
    this.#states = join(options.folder, 'states');
    this.#answers = join(options.folder, 'answers');
    this.#answersPrint = keyOf({ ...options.common, step: 'answers' });
    this.#ask = options.teacher && askElsewhere(options.teacher, options.subject.original);
  }

  /** Removes what is there of drafts, and of graphs that are of no use to these candidates. */
  clean(candidates: readonly Candidate[]): void {
    rmSync(this.#drafts, { recursive: true, force: true });
    const keys = new Set(candidates.flatMap(chainOf).map((candidate) => this.#makeKey(candidate)));
    for (const folder of [this.#made, this.#states]) {
      mkdirSync(folder, { recursive: true });
      for (const name of readdirSync(folder)) {
        if (!keys.has(name)) rmSync(join(folder, name), { recursive: true, force: true });
      }
    }
    cleanPages(this.#answers, this.#answersPrint);
  }

  /** How making it ended, if it was tried. */
  known(candidate: Candidate): Ended {
    return this.#options.journal.find(this.#makeKey(candidate));
  }

  /** How measuring it ended, if it was tried with the graph that was made last. */
  knownMeasure(candidate: Candidate, part: JudgedPart, options: MeasureOptions): Ended {
    const made = this.known(candidate);
    return made?.kind === 'made' ? this.#options.journal.find(this.#measureKey(made, part, options)) : undefined;
  }

  /** Makes it, unless the journal knows how that ends. @throws the signal's reason; ShoalError where the disk is full */
  async make(candidate: Candidate, left: Left): Promise<Ended> {
    return this.known(candidate) ?? (await this.#make(candidate, left));
  }

  /** The folder of a candidate that was made; made again where its graph is gone, as a verdict before may have left it. */
  async present(candidate: Candidate, left: Left): Promise<Ended> {
    const made = await this.make(candidate, left);
    if (made?.kind !== 'made' || (await this.#isThere(candidate, made))) return made;
    return await this.#make(candidate, left);
  }

  graphOf(candidate: Candidate): string {
    return graphIn(this.#folderOf(candidate), this.#options.subject.original, candidate.variant);
  }

  async measure(candidate: Candidate, part: JudgedPart, options: MeasureOptions, left: Left): Promise<Ended> {
    const known = this.knownMeasure(candidate, part, options);
    if (known !== undefined) return known;
    const made = await this.present(candidate, left);
    if (made?.kind !== 'made') return made;
    const { subject, pace } = this.#options;
    // As it was made again it may be one that was measured.
    const again = this.knownMeasure(candidate, part, options);
    if (again !== undefined) return again;
    const order: TrialOrder = {
      ...{ kind: 'measure', subject: this.#order(), folder: this.#folderOf(candidate), part, options },
    };
    const expected = pace.measuring(subject.data[part]);
    const about = { ...aboutOf(candidate), key: this.#measureKey(made, part, options), part };
    const { end, seconds } = await this.#carryOut(order, expected, left);
    if (end.kind === 'measured') pace.measured(subject.data[part], seconds);
    return this.#note(end, about, seconds, expected, left);
  }

  /** Of a candidate whose verdict is final. */
  discard(candidate: Candidate): void {
    rmSync(this.#folderOf(candidate), { recursive: true, force: true });
  }

  /** What it leaves on its way stays where time runs out or the run is ended, so that it goes on there the next time. */
  async #make(candidate: Candidate, left: Left): Promise<Ended> {
    const state = join(this.#states, this.#makeKey(candidate));
    const ended = await this.#makeFrom(state, candidate, left);
    if (ended !== undefined) rmSync(state, { recursive: true, force: true });
    return ended;
  }

  async #makeFrom(state: string, candidate: Candidate, left: Left): Promise<Ended> {
    const { subject, methods, context, pace } = this.#options;
    const onto = candidate.parts?.[0];
    const before = onto && (await this.present(onto, left));
    if (onto !== undefined && before?.kind !== 'made') return before;
    const from = onto && this.graphOf(onto);
    const key = this.#makeKey(candidate);
    mkdirSync(this.#drafts, { recursive: true });
    // Under a name that no other run has, not even one of a process of the same number in another container.
    const draft = mkdtempSync(join(this.#drafts, `${candidate.variant}-`));
    try {
      prepareCandidate(draft, subject.original);
      const path = graphIn(draft, subject.original, candidate.variant);
      const seed = Number.parseInt(key.slice(0, 8), 16);
      const known = { subject: this.#order(), answers: this.#answersOrder() };
      const order: TrialOrder = { kind: 'make', methods, candidate, from, path, seed, state, ...known };
      const expected = pace.making(candidate);
      const { end, seconds } = await this.#carryOut(order, expected, left);
      const about = { ...aboutOf(candidate), key };
      if (end.kind !== 'made') return this.#note(end, about, seconds, expected, left);
      pace.made(candidate, seconds);
      const print = await this.#print(path);
      if (print === undefined) {
        const reason = 'what was made is no ONNX model';
        return this.#note({ kind: 'failed', reason, code: undefined }, about, seconds, expected, left);
      }
      const folder = this.#folderOf(candidate);
      this.#options.lock.check();
      rmSync(folder, { recursive: true, force: true });
      renameSync(draft, folder);
      const made = shortened(end.made, before?.kind === 'made' ? before.made : undefined);
      return this.#append({ ...about, ...this.#times(seconds), kind: 'made', made, ...print });
    } finally {
      rmSync(draft, { recursive: true, force: true });
      context.onProgress(1);
    }
  }

  async #carryOut(order: TrialOrder, expected: number, left: Left): Promise<{ end: TrialEnd; seconds: number }> {
    const { context, lock } = this.#options;
    const { now, signal, say, onProgress, onAnswered } = context;
    const started = now();
    const limits = { limitMs: Math.max(0, left()), patienceMs: 1000 * Pace.patience(expected) };
    const ask = this.#ask;
    const end = await runTrial(order, {
      ...limits,
      ...{ signal, say, onProgress, onAnswered, held: lock.path },
      ...(ask && { ask }),
    });
    return { end, seconds: (now() - started) / 1000 };
  }

  /** Undefined where time ran out. @throws ShoalError where it is not the trial that is to blame */
  #note(end: TrialEnd, about: About, seconds: number, expected: number, left: Left): Ended {
    const entry = { ...about, ...this.#times(seconds) };
    switch (end.kind) {
      case 'measured': {
        const comparison = ComparisonJson.safeParse(end.comparison);
        if (comparison.success) return this.#append({ ...entry, kind: 'measured', comparison: comparison.data });
        return this.#append({ ...entry, kind: 'failed', reason: 'measuring it brought figures that are no numbers' });
      }
      case 'stale':
        throw new ShoalError('invalid_request', end.reason);
      case 'failed':
        if (end.code === 'ENOSPC' || end.code === 'EDQUOT') throw diskFull(this.#options.folder);
        return this.#append({ ...entry, kind: 'failed', reason: end.reason });
      case 'refused':
        return this.#append({ ...entry, kind: 'refused', reason: end.reason });
      case 'crashed':
        return this.#append({
          ...entry,
          kind: 'crashed',
          reason: end.reason,
          signal: end.signal,
          exitCode: end.exitCode,
        });
      case 'late': {
        if (left() <= 0) return undefined;
        const reason = `it did not end within ${Math.round(Pace.patience(expected) / 60)} min, and was ended`;
        return this.#append({ ...entry, kind: 'crashed', reason, signal: 'SIGKILL', exitCode: null });
      }
      default:
        throw new RangeError(`a trial of another kind ended as ${end.kind}`);
    }
  }

  #append(entry: TrialEntry): TrialEntry {
    this.#options.journal.append(entry);
    return entry;
  }

  #times(seconds: number): Pick<TrialEntry, 'seconds' | 'at'> {
    return { seconds, at: this.#options.context.date().toISOString() };
  }

  #makeKey(candidate: Candidate): string {
    const { common, subject } = this.#options;
    return makeKeyOf(common, candidate, subject.metric);
  }

  #measureKey({ sha256 }: MadeEntry, part: JudgedPart, options: MeasureOptions): string {
    const { common, machine } = this.#options;
    return measureKeyOf(common, { graph: sha256, part, options, machine });
  }

  #folderOf(candidate: Candidate): string {
    return join(this.#made, this.#makeKey(candidate));
  }

  #order(): SubjectOrder {
    const { original, path, data, metric } = this.#options.subject;
    const { original: print } = this.#options.common;
    return { original, path, print, metric, dataFile: data.file, dataSha256: data.sha256 };
  }

  #answersOrder(): AnswersOrder {
    const [{ teacher }, print] = [this.#options, this.#answersPrint];
    return { folder: join(this.#answers, print), print, elsewhere: teacher?.name };
  }

  async #isThere(candidate: Candidate, { sha256 }: MadeEntry): Promise<boolean> {
    const path = this.graphOf(candidate);
    return existsSync(path) && (await this.#print(path))?.sha256 === sha256;
  }

  /** Undefined where it is no graph. */
  async #print(path: string): Promise<GraphPrint | undefined> {
    try {
      return await printOfGraph(path, this.#options.context.signal);
    } catch (error) {
      if (error instanceof ShoalError) return undefined;
      throw error;
    }
  }
}

interface About extends Pick<TrialEntry, 'key' | 'method' | 'variant' | 'settings'> {
  readonly part?: JudgedPart;
}

function aboutOf(candidate: Candidate): Omit<About, 'key'> {
  const { variant, settings } = candidate;
  return { method: methodsOf(candidate), variant, settings: { ...settings } };
}

/** `before`: of a stack, what was done until then. */
function shortened({ method, notes }: Made, before?: Made): MadeEntry['made'] {
  const all = before === undefined ? method : `${before.method}; then ${method}`;
  return {
    method: all.slice(0, 500),
    notes: [...(before?.notes ?? []), ...notes].map((note) => note.slice(0, MOST_REASON)),
  };
}
