/** How many replicas a queue needs, from what arrives and what is unfinished. docs/scaling.md tells why like this. */

export interface ReplicaInputs {
  /** Jobs that have not ended, those that run included. */
  readonly unfinishedJobs: number;
  /** Their tokens. */
  readonly unfinishedTokens: number;
  /** Tokens a second that arrive (arrivals.ts). */
  readonly arrivalRate: number;
  /** Since the last job was admitted; infinite where none ever was. */
  readonly secondsSinceArrival: number;
  /** Tokens a second that one replica does under load (replica-rate.ts); null where that is not known yet. */
  readonly replicaRate: number | null;
  /** The most that are of use (fleet-speed.ts); null where no such number is known. */
  readonly usefulReplicas: number | null;
  /** How long a job may wait. */
  readonly delayObjectiveSeconds: number;
  /** How long a new replica takes until it works (cold-starts.ts). */
  readonly coldStartSeconds: number;
}

/** Share of a replica's speed that is planned with: a fleet that is just fast enough never works off what has piled up. */
const PLANNED_SHARE = 0.75;
/** A queue that is worked off in T has a mean wait below T and a tail above it: T is this share of the objective. */
const OBJECTIVE_SHARE = 0.65;
/** Nothing unfinished and nothing new for this long: no replica is needed. */
const IDLE_SECONDS = 60;
/** The least that is asked for while there is work. KEDA counts in thousandths, and what rounds to 0 ends the last replica. */
const LEAST = 0.01;
/** More than any fleet has: a measurement gone wrong must not become a number that a controller cannot hold. */
const MOST = 10_000;

/**
 * Replicas as a real number, to be rounded up by whoever scales: what arrives ÷ what a replica is planned to do, and what
 * is unfinished ÷ what a replica does in `targetSeconds`. Never NaN or infinite, whatever the inputs are.
 *
 * Above 0 as long as anything is unfinished, so that nobody scales to zero with work in flight. Where a replica's speed is
 * not known, one replica is needed to learn it; where more replicas would bring nothing, no more are asked for.
 */
export function replicasNeeded(inputs: ReplicaInputs): number {
  const busy = inputs.unfinishedJobs > 0 || inputs.unfinishedTokens > 0;
  if (!busy && !(inputs.secondsSinceArrival < IDLE_SECONDS)) return 0;
  const speed = positive(inputs.replicaRate);
  if (speed === 0) return 1;
  const steady = positive(inputs.arrivalRate) / (speed * PLANNED_SHARE);
  const catchingUp = positive(inputs.unfinishedTokens) / (speed * targetSeconds(inputs));
  const useful = positive(inputs.usefulReplicas) || MOST;
  return Math.max(LEAST, Math.min(useful, MOST, steady + catchingUp));
}

/**
 * T: the seconds in which what is unfinished is to be worked off. No shorter than a cold start, since replicas that are
 * asked for to be done sooner than that come when the work is gone.
 */
export function targetSeconds({
  delayObjectiveSeconds,
  coldStartSeconds,
}: Pick<ReplicaInputs, 'delayObjectiveSeconds' | 'coldStartSeconds'>): number {
  return Math.max(1, OBJECTIVE_SHARE * positive(delayObjectiveSeconds), positive(coldStartSeconds));
}

function positive(value: number | null): number {
  return value !== null && Number.isFinite(value) && value > 0 ? value : 0;
}
