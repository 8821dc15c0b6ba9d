/** `npm run simulate`: the table of docs/scaling.md. */
import { REPLICA_RATE } from './fleet.js';
import {
  away,
  backlog,
  chunks,
  queueLength,
  type SignalKind,
  shoal,
  shoalLearning,
  shoalWithoutTrials,
} from './signals.js';
import { type Outcome, simulate } from './simulate.js';
import { API_AWAY, HOSTS, INTERRUPTED, SHARED, TRAFFIC, type Traffic } from './traffic.js';

const SEEDS = [1, 2, 3, 4, 5];

const SIGNALS: readonly SignalKind[] = [
  queueLength(10),
  // What a replica does of jobs of 64 tokens in 10 s.
  queueLength((10 * REPLICA_RATE) / 64),
  backlog(10),
  shoal,
  shoalLearning(null),
  shoalLearning(REPLICA_RATE / 4),
  shoalLearning(REPLICA_RATE * 4),
];

const HEAD = ['traffic', 'scaled on', 'p50 wait', 'p95 wait', 'replica-hours', 'most', 'scale events', 'unserved'];

function row(traffic: Traffic, signal: SignalKind, hosts?: number): string[] {
  const runs = SEEDS.map((seed) => simulate(traffic, signal, seed, hosts));
  const range = (value: (run: Outcome) => number, show: (value: number) => string = String) => {
    const values = runs.map(value);
    const [least, most] = [show(Math.min(...values)), show(Math.max(...values))];
    return least === most ? least : `${least} to ${most}`;
  };
  return [
    traffic.name,
    signal.name,
    `${range(({ p50 }) => p50)} s`,
    `${range(({ p95 }) => p95)} s`,
    range(
      ({ replicaHours }) => replicaHours,
      (hours) => hours.toFixed(1),
    ),
    range(({ most }) => most),
    range(({ events }) => events),
    range(
      ({ unserved }) => unserved,
      (jobs) => jobs.toLocaleString('en'),
    ),
  ];
}

const print = (cells: readonly string[]) => console.log(`| ${cells.join(' | ')} |`);

print(HEAD);
print(HEAD.map(() => '---'));
// What goes wrong: replicas that share four hosts, and an API that is away for three minutes as the peak begins.
for (const signal of [shoalWithoutTrials, shoalLearning(null)]) print(row(SHARED, signal, HOSTS));
for (const signal of [away(...API_AWAY, chunks(80)), away(...API_AWAY, null)]) print(row(INTERRUPTED, signal));
for (const traffic of Object.values(TRAFFIC)) for (const signal of SIGNALS) print(row(traffic, signal));
