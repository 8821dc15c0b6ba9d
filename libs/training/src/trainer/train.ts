/** A run of training from where it is to its end. */
import { setImmediate } from 'node:timers/promises';
import type { Batch, StepReport, Trainer } from './trainer.js';

export interface Run {
  /** A batch of the examples of these numbers. */
  readonly batch: (examples: readonly number[]) => Batch | Promise<Batch>;
  /** Stops after this many steps in all; default: the trainer's. */
  readonly until?: number;
  readonly signal?: AbortSignal;
  /** After each step: to tell of it, to evaluate, to save. */
  readonly onStep?: (report: StepReport) => void | Promise<void>;
}

/** @throws what `Trainer.step` throws; the signal's reason, between two steps */
export async function train(
  trainer: Trainer,
  { batch, until = trainer.settings.steps, signal, onStep }: Run,
): Promise<void> {
  while (trainer.steps < until) {
    signal?.throwIfAborted();
    const batches: Batch[] = [];
    for (const examples of trainer.next()) batches.push(await batch(examples));
    const report = await trainer.step(batches);
    await onStep?.(report);
    // Steps hold the thread: messages and signals are heard in between.
    await setImmediate();
  }
}
