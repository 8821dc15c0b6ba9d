/** What the parts of the optimizer give each other: what is optimised, what a method offers, what measuring it brought. */
import type { LossMetric, MeasuredLoss, SpeedRatio, Task } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import type { Runtime } from '@shoal/onnxruntime';
import type { Answering } from './teacher/types.js';

/** One example of a user's file. */
export type Example =
  | { readonly kind: 'text'; readonly text: string; readonly label?: string }
  /** They belong together. */
  | { readonly kind: 'pair'; readonly query: string; readonly document: string }
  /** Documents of one query with their grades: 0 is of no use. */
  | { readonly kind: 'ranking'; readonly query: string; readonly documents: readonly GradedDocument[] }
  /** Places of entities in UTF-16 code units, as JavaScript slices. */
  | { readonly kind: 'entities'; readonly text: string; readonly entities: readonly Entity[] };

export interface GradedDocument {
  readonly text: string;
  readonly grade: number;
}

export interface Entity {
  readonly start: number;
  readonly end: number;
  readonly label: string;
}

/** Examples of one kind. */
export interface Examples {
  readonly kind: Example['kind'];
  readonly items: readonly Example[];
  /** Of kind `text`: every one has a label. */
  readonly labelled: boolean;
}

/**
 * A user's file in three parts that have no text in common (documents that rankings share aside): what methods learn from, what
 * choices are made by, and what the verdict is by, which nothing else may look at. Which part an example is in depends on its text
 * alone, and of pairs on those that share a text with it.
 */
export interface Data {
  readonly file: string;
  /** Of the file's bytes, in hex. */
  readonly sha256: string;
  readonly calibration: Examples;
  readonly choice: Examples;
  readonly verdict: Examples;
  /** Names of fields or columns that nothing is read from. */
  readonly unused?: readonly string[];
}

/** What is made faster. */
export interface Subject {
  /** In the variant that all others are compared with: fp32 where it is there, else the first. */
  readonly original: Model;
  /** Absolute path of the ONNX file to begin from: the original's, or in a stack what the methods before have made of it. */
  readonly path: string;
  readonly data: Data;
  /** What methods count losses in where they choose; undefined or left out: what is usual for the task and the data. */
  readonly metric?: LossMetric | undefined;
}

export interface Context {
  readonly runtime: Runtime;
  /** In ms. */
  readonly now: () => number;
  /** CPU time of this process, in ms: what passes of one thread are timed by where it is told, since other programs hardly change it. */
  readonly cpu?: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Tells a person what is done, a line at a time. */
  readonly say: (line: string) => void;
  /** How far the step that runs has come, from 0 to 1: a few times a second at most. */
  readonly onProgress: (share: number) => void;
  /**
   * A folder for what is to survive the end of the process, so that the same candidate goes on where it was; it need not exist.
   * Undefined: nothing survives.
   */
  readonly state?: string | undefined;
  /** How the run wants the original's answers to be had; left out: they are computed whenever they are asked for. */
  readonly answers?: Answering;
}

/** What a plan may take. */
export interface Limits {
  /** Longest time that a whole run may take, verdicts included. */
  readonly seconds: number;
}

/** A variant that could be made. */
export interface Candidate {
  /** By its name in the table of methods. */
  readonly method: string;
  /** A name for the variant, as `VARIANT` of contracts has them: `int8`, `layers2`, `static`; of a stack see `stackOf`. */
  readonly variant: string;
  /** All that decides what is made; part of the key that its trial is kept by. */
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  /** What it will take to make, on a machine like this one, roughly. */
  readonly seconds: number;
  /** Of a stack: the candidate whose graph it begins from, and the one whose method and settings it applies to that. */
  readonly parts?: readonly [onto: Candidate, last: Candidate];
}

/** What a candidate's graph is, once it is made. */
export interface Made {
  /** For people: `layers 0 3, trained 1,200 steps`. */
  readonly method: string;
  /** What a reader should know besides, a line each. */
  readonly notes: readonly string[];
}

/**
 * What a method changes of a model: how many layers it has, how wide they are, how its numbers are stored, which words it has rows
 * for. In one variant methods follow each other in this order, one of each stage at most.
 */
export const STAGES = ['depth', 'width', 'precision', 'words'] as const;
export type Stage = (typeof STAGES)[number];

/** One way to make models faster. */
export interface Method {
  readonly name: string;
  /** What it does, in one line of help. */
  readonly description: string;
  /** Of those that can begin from what another one has made, or be begun from; left out: it stands alone. */
  readonly stage?: Stage;
  /** Tasks of the models that it is for; left out: it says itself what it cannot make. */
  readonly tasks?: readonly Task[];
  /**
   * What it can make of this model, the most promising first; a text says why nothing. Looks at nothing but folder, examples and
   * limits, the same each time: a run that goes on plans again. Without limits as for a run of half an hour.
   */
  plan(subject: Subject, limits?: Limits): Promise<readonly Candidate[] | string>;
  /**
   * Writes the candidate's graph to `path` (and `path`.data, where it has one). Runs in a process of its own.
   *
   * @throws ShoalError saying why it cannot be made; the signal's reason
   */
  make(candidate: Candidate, subject: Subject, path: string, context: Context): Promise<Made>;
}

/** What measuring a candidate beside the original brought. */
export interface Comparison {
  readonly loss: Omit<MeasuredLoss, 'allowed'>;
  /** Shapes that it will be served with; the first is one text alone. */
  readonly speeds: readonly SpeedRatio[];
  /** Of a cascade: the share of the texts that its teacher answered. */
  readonly escalated?: number;
  /** Further figures for tables, by their titles: `KL divergence`, `macro F1`, `flips`. */
  readonly figures: Readonly<Record<string, Figure>>;
}

export interface Figure {
  readonly original: number | null;
  readonly candidate: number;
}

/** What the gate says of a comparison. */
export type Verdict =
  | { readonly kind: 'passed' }
  | {
      readonly kind: 'worse' | 'not_faster' | 'too_few';
      /** For people, with the figures that decided it. */
      readonly reason: string;
      /** Of `too_few`: texts that would suffice if the loss is what it seems. */
      readonly needed?: number;
    };

/** What is allowed of a loss: in the metric's own unit, see LOSS_METRICS. */
export interface Allowed {
  readonly loss: number;
  /** Undefined: the one that the task and the data have. */
  readonly metric?: LossMetric;
}
