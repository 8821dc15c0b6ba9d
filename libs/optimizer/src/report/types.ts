/** What a run knows at any moment: what its table and its page show. */
import type { LossMetric, Task, VariantQuality } from '@shoal/contracts';
import type { Candidate, Comparison } from '../types.js';

export type Outcome =
  /** Nothing is decided yet. */
  | 'waiting'
  /** Measured on the choice part; its verdict is to come. */
  | 'finalist'
  | 'passed'
  | 'forced'
  /** By the gate, or by the method itself. */
  | 'refused'
  /** Another candidate of its method is better; of a stack, one of its parts. */
  | 'outdone'
  | 'failed'
  | 'crashed'
  /** Time did not suffice. */
  | 'left_out'
  /** The version has another variant of its name. */
  | 'taken';

/** A candidate, and what became of it. */
export interface Row {
  readonly candidate: Candidate;
  readonly outcome: Outcome;
  /** Why; of those that passed: undefined. */
  readonly reason: string | undefined;
  /** How it was made, for people; undefined before. */
  readonly how: string | undefined;
  readonly notes: readonly string[];
  readonly bytes: number | undefined;
  /** On the part that choices are made by. */
  readonly choice: Comparison | undefined;
  /** On the part that nothing else looked at. */
  readonly verdict: Comparison | undefined;
}

export interface RunState {
  /** `name@version` */
  readonly model: string;
  readonly task: Task;
  readonly original: { readonly variant: string; readonly bytes: number };
  readonly data: DataWords;
  /** What losses are counted in by the texts of the verdict, and where choices are made. */
  readonly metric: LossMetric;
  readonly choosing: LossMetric;
  /** What the texts for the verdict had judged of this model before this command. */
  readonly spent: { readonly commands: number; readonly verdicts: number };
  /** The loss that is allowed, in the metric's unit. */
  readonly allowed: number;
  readonly machine: string;
  readonly state: 'running' | 'ended' | 'stopped';
  /** When this was told. */
  readonly at: string;
  readonly rows: readonly Row[];
  /** What quality.json held of variants that were there when the run began, by their names. */
  readonly before: Readonly<Record<string, VariantQuality>>;
  readonly impossible: readonly { readonly method: string; readonly why: string }[];
}

/** Of a user's file; never what stands in it. */
export interface DataWords {
  /** By its name alone. */
  readonly file: string;
  /** `labelled texts`, `pairs` */
  readonly what: string;
  readonly calibration: number;
  readonly choice: number;
  readonly verdict: number;
  /** Names of fields or columns that nothing is read from, or not for models of the task. */
  readonly unused: readonly string[];
}

/** The figures that count: of the verdict where there is one. */
export function figuresOf({ choice, verdict }: Row): Comparison | undefined {
  return verdict ?? choice;
}
