/** What the evaluators of the tasks give to `compare`. */
import type { LossMetric } from '@shoal/contracts';
import type { Figure } from '../types.js';

export interface PairedLosses {
  /** One for each text, pair or query, positive where the candidate is worse. */
  readonly values: readonly number[];
  /** Where texts do not count alike: tokens of each. */
  readonly weights?: readonly number[];
  /** Of one answer that is lost, where that is more than 1: a text has less than one answer. */
  readonly answer?: number;
}

export interface Quality {
  readonly losses: Readonly<Partial<Record<LossMetric, PairedLosses>>>;
  /** As a Comparison has it. */
  readonly escalated?: number;
  /** By their titles. */
  readonly figures: Readonly<Record<string, Figure>>;
}
