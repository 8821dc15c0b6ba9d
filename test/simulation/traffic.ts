/** The loads that are simulated, each of 90 minutes. Arrivals come open-loop: they do not wait for results. */
import { binomial, type Random } from './random.js';

export const DURATION_SECONDS = 5400;

export interface Traffic<Job = number> {
  readonly name: string;
  /** Mean arrivals at second `t`. */
  readonly jobsPerSecond: (t: number) => number;
  /** Of one job: what it takes. */
  readonly tokensOf: (random: Random, t: number) => Job;
}

/** A tenth of the jobs are long: 467 tokens in the mean. */
const mixed = (random: Random) => (random() < 0.1 ? 4096 : 64);

export const TRAFFIC = {
  step: {
    name: 'step 20 → 400 → 20 job/s, mixed 64 and 4,096 tokens',
    jobsPerSecond: (t) => (t >= 900 && t < 2700 ? 400 : 20),
    tokensOf: mixed,
  },
  diurnal: {
    name: 'diurnal 0 to 300 job/s, mixed',
    jobsPerSecond: (t) => 150 * (1 + Math.sin((2 * Math.PI * t) / DURATION_SECONDS - Math.PI / 2)),
    tokensOf: mixed,
  },
  shift: {
    name: 'prompts 64 → 1,024 tokens mid-run, 100 job/s',
    jobsPerSecond: () => 100,
    tokensOf: (_, t) => (t < 2700 ? 64 : 1024),
  },
  onOff: {
    name: 'on and off every 10 min, 300 job/s, mixed',
    jobsPerSecond: (t) => (Math.floor(t / 600) % 2 === 0 ? 0 : 300),
    tokensOf: mixed,
  },
} as const satisfies Record<string, Traffic>;

/** Replicas that have a machine each; more share them. */
export const HOSTS = 4;

/** 70,000 tokens a second: what four replicas do on machines of their own, at seven eighths of their speed. */
export const SHARED: Traffic = {
  name: '150 job/s, mixed, on four hosts',
  jobsPerSecond: (t) => (t >= 900 ? 150 : 20),
  tokensOf: mixed,
};

/** Seconds in which the API is away, and with it the number: the step has just come, and its first jobs wait. */
export const API_AWAY = [910, 1090] as const;

/** The step; without the API nothing arrives. */
export const INTERRUPTED: Traffic = {
  name: 'step 20 → 400 → 20 job/s, the API away for three minutes',
  jobsPerSecond: (t) => (t >= API_AWAY[0] && t < API_AWAY[1] ? 0 : TRAFFIC.step.jobsPerSecond(t)),
  tokensOf: mixed,
};

/** What each job that arrives in second `t` takes: as many as a quarter of the trials, of which the mean is the rate. */
export function arrivalsAt<Job>({ jobsPerSecond, tokensOf }: Traffic<Job>, random: Random, t: number): Job[] {
  const rate = jobsPerSecond(t);
  if (rate === 0) return [];
  const trials = Math.floor(rate * 4) + 1;
  const count = binomial(random, trials, Math.min(1, rate / trials));
  return Array.from({ length: count }, () => tokensOf(random, t));
}
