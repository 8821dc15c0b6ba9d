/** How what is known of fleets of each size stands in Redis. What it means is libs/autoscaling's. */

export interface FleetSpeed {
  readonly replicas: number;
  /** Tokens a second of one replica while so many worked. */
  readonly rate: number;
  /** Unix ms, by Redis's clock. */
  readonly at: number;
  /** The growth to this size that was watched last. */
  readonly trial: {
    readonly fromReplicas: number;
    readonly fromRate: number;
    readonly toRate: number;
    readonly at: number;
  } | null;
}

/** From a flat list of size classes and JSON, as HGETALL gives it. */
export function parseSpeeds(list: readonly Buffer[]): FleetSpeed[] {
  return list.flatMap((value, n) => (n % 2 === 0 ? [] : [JSON.parse(value.toString()) as FleetSpeed]));
}
