/** What trials of a run are known by in its journal. */
import type { LossMetric } from '@shoal/contracts';
import type { JudgedPart } from '../journal/entries.js';
import { keyOf, type Versions } from '../journal/keys.js';
import type { MeasureOptions } from '../trial/messages.js';
import type { Candidate } from '../types.js';

/** What is part of the key of every trial of a run. */
export interface Common {
  /** Print of the original with all that its answers depend on. */
  readonly original: string;
  /** SHA-256 of the data. */
  readonly data: string;
  readonly versions: Versions;
}

/** Of a stack: with the key of what it begins from, and so of all that were before. `metric`: what methods choose by. */
export function makeKeyOf(common: Common, candidate: Candidate, metric: LossMetric | undefined): string {
  const { method, variant, settings, parts } = candidate;
  const onto = parts && { onto: makeKeyOf(common, parts[0], metric) };
  return keyOf({ ...common, step: 'make', method, variant, settings, metric: metric ?? null, ...onto });
}

/** Of the bytes that were made, by whatever method. `machine`: speeds are of one. */
export function measureKeyOf(common: Common, { graph, part, options, machine }: MeasuredGraph): string {
  return keyOf({ ...common, step: 'measure', graph, part, ...options, metric: options.metric ?? null, machine });
}

export interface MeasuredGraph {
  /** SHA-256 of the graph. */
  readonly graph: string;
  readonly part: JudgedPart;
  readonly options: MeasureOptions;
  readonly machine: string;
}
