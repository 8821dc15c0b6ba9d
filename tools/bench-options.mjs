// @ts-check
/** What `npm run bench` may be asked for. */
import { readArguments } from './arguments.mjs';
import { UserError } from './user-error.mjs';

/** In the order in which they run; those after `decode` by name only: they take minutes, or measure Shoal by itself and no peer. */
export const PARTS = /** @type {const} */ ([
  'encoder',
  'queue',
  'decode',
  'generation',
  'generation-mixed',
  'generation-redis',
  'generation-background',
  'generation-reuse',
  'scale',
  'limits',
  'imports',
  'pull',
  'quantise',
  'prune',
  'gate',
  'training',
  'accuracy',
  'tune',
  'students',
  'stacks',
]);

/** @typedef {(typeof PARTS)[number]} Part */

const HELP = `Measures Shoal beside its peers and prints ratios; docs/benchmarks.md tells what they mean.

npm run bench -- [--only <parts>] [--rounds <n>] [--quick]

  --only <parts>         several with commas (default: encoder,queue,decode) of
                         ${PARTS.join(', ')}
  --rounds <n>           of each measurement (default: 5)
  --quick                a quarter of the load
  --worker <NAME=value>  a variable for the workers; may be given several times
  --profile <folder>     for CPU profiles of API and worker`;

/** Null once the help was printed. */
export function readBenchOptions() {
  const read = readArguments(HELP, {
    options: {
      only: { type: 'string', default: 'encoder,queue,decode' },
      rounds: { type: 'string', default: '5' },
      quick: { type: 'boolean', default: false },
      worker: { type: 'string', multiple: true, default: [] },
      profile: { type: 'string' },
    },
  });
  if (read === null) return null;
  const { only, rounds, quick, worker, profile } = read.values;
  if (!/^[1-9]\d{0,3}$/.test(rounds)) throw new UserError('--rounds takes a whole number from 1; see --help.');
  if (!worker.every((pair) => /^\w+=/.test(pair))) throw new UserError('--worker takes NAME=value; see --help.');
  const wanted = only.split(',').map((part) => part.trim());
  const parts = PARTS.filter((part) => wanted.includes(part));
  const unknown = wanted.filter((part) => !parts.some((known) => known === part));
  if (unknown.length > 0) {
    throw new UserError(`--only takes ${PARTS.join(', ')}, or several with commas, and not ${unknown.join(', ')}.`);
  }
  /** @type {Record<string, string>} */
  const workerEnv = Object.fromEntries(
    worker.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
  return { parts, rounds: Number(rounds), quick, workerEnv, profile };
}

/** @typedef {NonNullable<ReturnType<typeof readBenchOptions>>} BenchOptions */
