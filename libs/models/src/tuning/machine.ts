/** On what kind of machine a model was tuned: what was fast on one of another kind says nothing. */
import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';

export interface Machine {
  /** Its name, and what it says of its instructions. */
  readonly processor: string;
  /** That this process may use: a container's share of them, where it has one. */
  readonly cores: number;
  /** Kind and version of ONNX Runtime. */
  readonly runtime: string;
}

/** The machine that this process runs on. */
export async function machineOf(runtime: { readonly kind: string; readonly version: string }): Promise<Machine> {
  const info = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  // `flags` of x64, `Features` of arm64.
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(info)?.[1] ?? '';
  return {
    processor: `${process.arch} ${nameOfProcessor()} ${flags}`.trim(),
    cores: availableParallelism(),
    runtime: `${runtime.kind} ${runtime.version}`,
  };
}

/** For people. */
export function wordsOf({ cores, runtime }: Machine): string {
  return `${cores} cores of ${nameOfProcessor()}, ONNX Runtime ${runtime}`;
}

function nameOfProcessor(): string {
  return cpus()[0]?.model.trim() || 'an unknown processor';
}
