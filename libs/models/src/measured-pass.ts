/** What forward passes of a model cost, measured on texts that nobody wrote. */
import type { TextItem } from '@shoal/contracts';
import type { ModelRunner, Row } from './types.js';

export interface MeasuredPass {
  readonly elapsedMs: number;
  /** CPU time of one pass where it was asked for, else the elapsed time. */
  readonly workMs: number;
}

export interface PassOptions {
  /** Passes that run at once: they share caches and memory. */
  readonly sideBySide: number;
  /** What one pass has of the CPU time of this process, which other programs hardly change. */
  readonly byCpuTime: boolean;
  /** Milliseconds that only go by. */
  readonly now: () => number;
}

/** Runs as many equal passes at once, of `size` texts of `length` tokens. @throws whatever a pass or a row of it fails with */
export function measuredPass(
  runner: ModelRunner,
  { sideBySide, byCpuTime, now }: PassOptions,
): (size: number, length: number) => Promise<MeasuredPass> {
  return async (size, length) => {
    const rows = Array.from({ length: size }, (_, n) => syntheticRow(runner, length, n));
    const [started, cpuBefore] = [now(), process.cpuUsage()];
    const passes = await Promise.all(Array.from({ length: sideBySide }, () => runner.run(rows)));
    const elapsedMs = now() - started;
    const { user, system } = process.cpuUsage(cpuBefore);
    const failure = passes.flat().find((output) => output instanceof Error);
    if (failure) throw failure;
    return { elapsedMs, workMs: byCpuTime ? (user + system) / 1000 / sideBySide : elapsedMs };
  };
}

/** A text of `length` tokens; another one for each `n`. What it answers means nothing. */
export function syntheticRow({ model, defaults }: ModelRunner, length: number, n: number): Row {
  const vocabulary = model.text?.vocabSize ?? 100;
  const ids = Uint32Array.from({ length }, (_, i) => (7 * (i + n) + 1) % vocabulary);
  const item: TextItem = {
    kind: 'text',
    ids,
    // Token classification cuts words from the text by these.
    text: 'x',
    offsets: new Uint32Array(2 * length),
    words: new Int32Array(length).fill(-1),
  };
  return { item, parameters: defaults };
}
