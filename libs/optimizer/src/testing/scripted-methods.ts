/**
 * A method for tests that does what its script says, in the process of a trial: what becomes of a run then does not depend on what real
 * methods do. The script is in the environment of nobody: it is the JSON file `<data file>.script`.
 */
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { ShoalError } from '@shoal/contracts';
import { keepLayers } from '../prune/edits.js';
import { openOrThrow, write } from '../prune/subject.js';
import { type Candidate, type Context, type Made, type Method, STAGES, type Stage, type Subject } from '../types.js';

export interface Script {
  /** What making a candidate of each name does. */
  readonly acts: Readonly<Record<string, Act>>;
  /** Variants whose methods may follow each other. Stacks of them are in `acts` too. */
  readonly stages?: Partial<Readonly<Record<Stage, readonly string[]>>>;
  /** Makes that began and ended are noted here, a line each. */
  readonly log: string;
}

/**
 * `copy`: the graph that it begins from; `half`: the first half of its layers; `slow` takes a moment and refuses; `hang` waits for ever,
 * `spin` does so without ever giving the thread back; `full`: the disk is; `halves`: leaves half of it, says so and hangs, and refuses
 * where it finds that half.
 */
export type Act =
  | 'copy'
  | 'half'
  | 'slow'
  | 'hang'
  | 'spin'
  | 'kill'
  | 'abort'
  | 'throw'
  | 'refuse'
  | 'junk'
  | 'full'
  | 'halves';

function scriptOf({ data }: Subject): Script {
  return JSON.parse(readFileSync(`${data.file}.script`, 'utf8')) as Script;
}

function scripted(name: string, variantsOf: (script: Script) => readonly string[], stage?: Stage): Method {
  return {
    ...{ name, description: 'does what a test says' },
    ...(stage !== undefined && { stage }),
    async plan(subject) {
      return variantsOf(scriptOf(subject)).map(
        (variant): Candidate => ({ method: name, variant, settings: { scripted: true }, seconds: 1 }),
      );
    },
    async make(candidate, subject, path, context) {
      const { acts, log } = scriptOf(subject);
      appendFileSync(log, `begun ${candidate.variant} ${process.pid}\n`);
      await act(acts[candidate.variant]!, subject, path, context);
      appendFileSync(log, `ended ${candidate.variant} ${process.pid}\n`);
      return { method: `scripted ${candidate.variant}`, notes: [`chooses by ${subject.metric}`] } satisfies Made;
    },
  };
}

/** All that are in no stage and are no stacks. */
function alone({ acts, stages = {} }: Script): readonly string[] {
  const staged = Object.values(stages).flat();
  return Object.keys(acts).filter((variant) => !staged.some((own) => variant.split('_').includes(own)));
}

export const METHODS: readonly Method[] = [
  scripted('scripted', alone),
  ...STAGES.map((stage) => scripted(`scripted-${stage}`, ({ stages }) => stages?.[stage] ?? [], stage)),
];

async function act(what: Act, subject: Subject, path: string, context: Context): Promise<void> {
  switch (what) {
    case 'copy':
      return copyFileSync(subject.path, path);
    case 'half': {
      const { served, anatomy } = openOrThrow(subject);
      const kept = Array.from({ length: Math.ceil(anatomy.layers / 2) }, (_, layer) => layer);
      return write(subject, keepLayers(served, anatomy, kept), path);
    }
    case 'slow':
      context.onProgress(0.5);
      await wait(300);
      throw new ShoalError('model_invalid', 'this cannot be made either');
    case 'hang':
      context.onProgress(0.5);
      return await wait(2 ** 31 - 1);
    case 'spin':
      context.onProgress(0.5);
      // The message is on its way: pipes are written to at once.
      while (existsSync(subject.path));
      return;
    case 'kill':
      process.kill(process.pid, 'SIGKILL');
      return await wait(2 ** 31 - 1);
    case 'abort':
      return process.abort();
    case 'throw':
      throw new TypeError('a fault of the method');
    case 'refuse':
      throw new ShoalError('model_invalid', 'this cannot be made');
    case 'junk':
      return appendFileSync(path, 'no graph');
    case 'halves': {
      const half = join(context.state!, 'half');
      if (existsSync(half)) throw new ShoalError('model_invalid', 'the other half is no better');
      mkdirSync(context.state!, { recursive: true });
      appendFileSync(half, 'half');
      context.say('half of it is made');
      return await wait(2 ** 31 - 1);
    }
    case 'full':
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', syscall: 'write' });
  }
}
