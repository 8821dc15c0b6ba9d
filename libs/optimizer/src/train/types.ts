/** What training inside `shoal optimize` is told: where it begins, what is taught, how long and how fast. */
import type { Model } from '@shoal/onnx';
import type { Batch, Loss, Probes } from '@shoal/training';
import type { Parts } from '../prune/edits.js';
import type { Context, Made } from '../types.js';

/** What a model is taught, and by what graph. The same in each run that has the same subject. */
export interface Lesson {
  /** Examples there are: `batch` gets numbers below it. */
  readonly examples: number;
  /**
   * The graph that is trained, of a checkpoint that may be any of this config (its numbers are traced through it). Left out: the graph as it
   * is served, with its weights in 32 bits, which encoders can be trained by.
   */
  readonly graphOf?: ((parts: Parts) => Model) | undefined;
  /** Puts behind that graph what losses are of, such as the pooling of an embedder; constants keep their names. */
  readonly behind?: ((graph: Model) => Model) | undefined;
  /** Of outputs of that graph. */
  readonly losses: readonly Loss[];
  /** Left out: `textProbes`. */
  readonly probes?: ((graph: Model) => Probes) | undefined;
  /** Inputs of the graph, targets of the losses, and weights of rows, which are 0 for padding. The same for the same numbers. */
  readonly batch: (examples: readonly number[]) => Batch | Promise<Batch>;
  /** For people: what is taught. */
  readonly notes?: readonly string[] | undefined;
  readonly close?: (() => Promise<void>) | undefined;
}

/** How long and how fast. All of it belongs into a candidate's settings: a trial that goes on has to have the same. */
export interface Schedule {
  readonly steps: number;
  /** Examples of a pass. */
  readonly batch: number;
  /** Passes whose gradients make a step. */
  readonly accumulate: number;
  /** At its highest; it rises over the first twentieth of the steps, and falls to 0 in a line. */
  readonly rate: number;
}

/** Where training begins. */
export interface Begun {
  readonly parts: Parts;
  /** What was done to the original: `layers 0 1`. */
  readonly made: Made;
}

export interface HealOrder {
  /** Called once: a trial that goes on has what it made on the disk. */
  readonly begin: (context: Context) => Promise<Begun>;
  /** Called in each run. */
  readonly lesson: (context: Context) => Promise<Lesson>;
  readonly schedule: Schedule;
}

/** What is lost on the choice part, in the metric of task and examples, after so many steps. */
export interface Evaluation {
  readonly step: number;
  readonly loss: number;
  /** Standard error of the loss. */
  readonly error: number;
}

export interface Healed {
  /** `layers 0 1, trained 1,200 steps`, with what was lost before and after. */
  readonly made: Made;
  /** The first is of step 0. */
  readonly evaluations: readonly Evaluation[];
  /** What was written is of this one. */
  readonly best: Evaluation;
  /** Steps that were made. */
  readonly steps: number;
  /** What the steps of this process took, evaluations aside. */
  readonly seconds: number;
}
