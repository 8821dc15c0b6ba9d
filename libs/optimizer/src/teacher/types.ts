/** What is asked of a teacher, a page at a time, and where the answers may come from: this process, the disk, or an API elsewhere. */
import type { TextItem, WireOutput } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import type { AnswerRows } from './answer-rows.js';
import type { KeptPages } from './kept-pages.js';

/** What makes one row: a text, token ids, or a query with a document. */
export type Question =
  | string
  | { readonly tokens: readonly number[] }
  | { readonly query: string; readonly documents: readonly [string] };

/** Questions that are asked together: at most as many as a job takes, and no more than its result has room for. */
export interface AskedPage {
  /** SHA-256 in hex of all that decides on the answers: model, versions, parameters, questions. */
  readonly key: string;
  readonly questions: readonly Question[];
  /** Of the model's task, as a request gives them. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** The same as the model takes it. */
export interface Page extends AskedPage {
  /** One for each question. */
  readonly items: readonly TextItem[];
  /** The parameters with their defaults. */
  readonly resolved: Readonly<Record<string, unknown>>;
}

/** Where answers are computed. */
export interface AnswerSource {
  /** Pages that it takes at once. */
  readonly width: number;
  /** One output for each question. @throws ShoalError where one cannot be answered; the signal's reason */
  answer(page: Page): Promise<Given>;
  close(): Promise<void>;
}

export interface Given {
  readonly outputs: readonly WireOutput[];
  /** The answers have been used, and are on the disk where they are kept: whoever has computed them may forget them. */
  taken(): void;
}

/** A copy of the original that others serve, as a run has it. */
export interface TeacherElsewhere {
  /** For people: where it is. */
  readonly name: string;
  /** Asks nobody. @throws ShoalError in one line, where students of such a model cannot learn from elsewhere */
  check(original: Model): void;
  /**
   * Called before the first answer is asked for.
   *
   * @throws ShoalError in one line, where it does not serve this model in this version and variant, or not to this caller
   */
  find(original: Model, signal: AbortSignal): Promise<void>;
  /** Calls for several pages may be under way at once. @throws ShoalError in one line; the signal's reason */
  answer(original: Model, page: AskedPage, signal: AbortSignal): Promise<GivenElsewhere>;
}

export interface GivenElsewhere {
  /** One for each question; scores have all classes. */
  readonly outputs: readonly WireOutput[];
  /** Forgets them there. Never rejects: what is not forgotten now goes by itself. */
  taken(signal: AbortSignal): Promise<void>;
}

/** What a trial's process has of the TeacherElsewhere: its name, and whom to ask. */
export interface Elsewhere {
  readonly name: string;
  answer(page: AskedPage): Promise<{ readonly rows: AnswerRows; readonly taken: () => void }>;
}

/** How a run wants the original's answers to be had. */
export interface Answering {
  /** Of the original, the data and the versions: part of every page's key. */
  readonly print: string;
  readonly kept: KeptPages;
  /** Undefined: they are computed in this process. */
  readonly elsewhere: Elsewhere | undefined;
  readonly onAnswered: (progress: Answered) => void;
}

/** How far the questions of one call are. */
export interface Answered {
  readonly done: number;
  readonly total: number;
  /** Of those that were not on the disk; 0 while there are none. */
  readonly perSecond: number;
}
