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
import { type Outcome, simulate, simulateTexts } from './simulate.js';
import { TEXT_RATE, TEXT_SHAPE } from './text-fleet.js';
import { TEXT_TRAFFIC } from './text-traffic.js';
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
  return cells(
    [traffic.name, signal.name],
    SEEDS.map((seed) => simulate(traffic, signal, seed, hosts)),
  );
}

function cells(names: readonly string[], runs: readonly Outcome[]): string[] {
  const range = (value: (run: Outcome) => number, show: (value: number) => string = String) => {
    const values = runs.map(value);
    const [least, most] = [show(Math.min(...values)), show(Math.max(...values))];
    return least === most ? least : `${least} to ${most}`;
  };
  return [
    ...names,
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

console.log();
print(HEAD.map((title) => title.replace('wait', 'to first token')));
print(HEAD.map(() => '---'));
const learning = shoalLearning(null, TEXT_SHAPE);
for (const traffic of Object.values(TEXT_TRAFFIC)) {
  for (const signal of [queueLength(5), queueLength(64), backlog(10, TEXT_RATE), learning]) {
    const runs = SEEDS.map((seed) => simulateTexts(traffic, signal, seed));
    print(cells([traffic.name, signal.name], runs));
  }
  const known = SEEDS.map((seed) => simulateTexts(traffic, learning, seed, { lengthsKnown: true }));
  print(cells([traffic.name, 'Shoal, if lengths were known'], known));
}
