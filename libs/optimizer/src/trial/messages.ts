/** What a run and the process of a trial tell each other. They travel as structured clones. */
import type { LossMetric } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import type { JudgedPart } from '../journal/entries.js';
import type { AnswerRows } from '../teacher/answer-rows.js';
import type { Answered, AskedPage } from '../teacher/types.js';
import type { Candidate, Comparison, Made } from '../types.js';

/** What is made faster; the process reads the data itself. */
export interface SubjectOrder {
  readonly original: Model;
  /** Of its ONNX file. */
  readonly path: string;
  /** Of all that its answers depend on, when the run began: see printOfModel. */
  readonly print: string;
  /** What methods choose by; undefined or left out: what is usual for the task and the data. */
  readonly metric?: LossMetric | undefined;
  readonly dataFile: string;
  /** Of the data when the run began. */
  readonly dataSha256: string;
}

export interface MakeOrder {
  readonly kind: 'make';
  /** URL of the module whose METHODS has the method. */
  readonly methods: string;
  readonly candidate: Candidate;
  readonly subject: SubjectOrder;
  /** The ONNX file that a stack begins from; undefined: the original's. */
  readonly from?: string | undefined;
  /** The ONNX file to write; its folder is there. */
  readonly path: string;
  /** Of its random numbers: what is made again is the same. */
  readonly seed: number;
  /** See `Context.state`. */
  readonly state?: string | undefined;
  /** Left out: the original's answers are computed whenever a method asks for them. */
  readonly answers?: AnswersOrder;
}

/** Where the original's answers are kept, and who gives those that are not there. */
export interface AnswersOrder {
  readonly folder: string;
  /** Of the original, the data and the versions: part of every page's key. */
  readonly print: string;
  /** Name of the teacher elsewhere, whom the run is asked for; undefined: they are computed in the trial's process. */
  readonly elsewhere: string | undefined;
}

export interface MeasureOrder {
  readonly kind: 'measure';
  readonly subject: SubjectOrder;
  /** Folder of the candidate as a model: see candidate-folder.ts. */
  readonly folder: string;
  readonly part: JudgedPart;
  readonly options: MeasureOptions;
}

export interface MeasureOptions {
  readonly metric: LossMetric;
  /** One-sided: how often the bound of a loss may be below it. */
  readonly alpha: number;
}

export type TrialOrder = MakeOrder | MeasureOrder;

/** How a trial ended, as its process says. */
export type TrialReply =
  | { readonly kind: 'made'; readonly made: Made }
  | { readonly kind: 'measured'; readonly comparison: Comparison }
  | { readonly kind: 'refused'; readonly reason: string }
  /** The data, or the model, is another than when the run began, or another one than the teacher elsewhere. */
  | { readonly kind: 'stale'; readonly reason: string }
  /** `code`: the operating system's, where it is to blame. */
  | { readonly kind: 'failed'; readonly reason: string; readonly code: string | undefined };

export type TrialMessage =
  | TrialReply
  | AnswersMessage
  | { readonly kind: 'progress'; readonly share: number }
  | { readonly kind: 'say'; readonly line: string };

/** What a trial says of the original's answers. */
export type AnswersMessage =
  | { readonly kind: 'answered'; readonly progress: Answered }
  /** To the teacher elsewhere; what comes back has the same number. */
  | { readonly kind: 'ask'; readonly number: number; readonly page: AskedPage }
  /** What was given under this number is used and kept. */
  | { readonly kind: 'taken'; readonly number: number };

/** What the run says to a trial that has asked. */
export interface GivenMessage {
  readonly kind: 'given';
  readonly number: number;
  readonly rows: AnswerRows;
}
