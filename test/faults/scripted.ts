/** Workers with a scripted model (scripted-worker.mjs), and the log of what they ran. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Fleet } from '../support/fleet.js';
import { type Running, startApp } from '../support/processes.js';

/** Longest time in ms that an item's pass may last: it travels as a token id, as its number does. */
export const SCRIPTED_MODEL = { model: 'wordnet-topic', config: { vocab_size: 1_000_000 } } as const;

export interface Script {
  readonly queue: string;
  readonly log: string;
  /** 0 to 24: tells the outputs of workers apart. */
  readonly label: number;
  readonly poison: number | null;
  /** Most items and tokens of a micro-batch, and passes at once; a worker holds 6 micro-batches beside those that run. */
  readonly batch: number;
  readonly tokens: number;
  readonly runs: number;
}

export interface Passes {
  /** How often a pass with the item has started. */
  readonly starts: ReadonlyMap<number, number>;
  /** Items of passes that have started and not ended, by label. */
  readonly open: ReadonlyMap<number, readonly number[]>;
  /** Items of passes that have ended, by label. */
  readonly ended: ReadonlyMap<number, readonly number[]>;
}

export interface Scripted {
  start(changes?: Partial<Script>): Promise<Running>;
  passes(): Passes;
}

/** The input of item `n`, whose pass lasts `ms`. */
export function itemOf(n: number, ms: number): { tokens: number[] } {
  return { tokens: [n, ms] };
}

export function openScripted(fleet: Fleet, defaults: Partial<Script> = {}): Scripted {
  const dir = mkdtempSync(join(tmpdir(), 'shoal-passes-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const log = join(dir, 'passes.log');
  writeFileSync(log, '');
  const queue = fleet.tag.slice('{shoal:'.length, -1);
  return {
    async start(changes = {}) {
      const script: Script = {
        queue,
        log,
        label: 0,
        poison: null,
        batch: 8,
        tokens: 4096,
        runs: 1,
        ...defaults,
        ...changes,
      };
      const env = { SHOAL_SCRIPT: JSON.stringify(script) };
      const worker = await startApp('test/faults/scripted-worker.mjs', 'worker.ready', {
        redisUrl: fleet.redisUrl,
        env,
      });
      onTestFinished(async () => {
        worker.kill('SIGKILL');
        await worker.exited;
      });
      return worker;
    },
    passes: () => parsePasses(readFileSync(log, 'utf8')),
  };
}

function parsePasses(log: string): Passes {
  const starts = new Map<number, number>();
  const open = new Map<number, number[]>();
  const ended = new Map<number, number[]>();
  for (const line of log.split('\n').filter((text) => text !== '')) {
    const [event, label, list] = line.split(' ') as [string, string, string];
    const numbers = list.split(',').map(Number);
    const running = open.get(Number(label)) ?? [];
    if (event === 'start') {
      for (const n of numbers) starts.set(n, (starts.get(n) ?? 0) + 1);
      open.set(Number(label), [...running, ...numbers]);
    } else {
      open.set(
        Number(label),
        running.filter((n) => !numbers.includes(n)),
      );
      ended.set(Number(label), [...(ended.get(Number(label)) ?? []), ...numbers]);
    }
  }
  return { starts, open, ended };
}
