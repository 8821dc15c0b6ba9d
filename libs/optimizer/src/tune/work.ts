/** The work that settings of a model are compared by. */
import type { Runtime } from '@shoal/onnxruntime';
import type { Setting, Space } from './setting.js';

export interface WorkOptions {
  readonly runtime: Runtime;
  /** The workers': what is measured and proved on the way is of use to them. */
  readonly cacheDir: string;
  /** That this process may use. */
  readonly cores: number;
  /** Forward passes that this process can run at once: libuv's pool has a thread for each. */
  readonly passes: number;
  /** In ms. */
  readonly now: () => number;
  /** Of this process, in ms; undefined where it is not told finely enough. */
  readonly cpu: (() => number) | undefined;
}

/** Once through the work. */
export interface Taken {
  readonly ms: number;
  /**
   * The same by the time that it had a processor, which other programs hardly change; null where threads wait for each other,
   * which that does not tell. Settings are compared by it with others that have it.
   */
  readonly cpuMs: number | null;
}

/** The logarithm of the ratio of two, by the time of the processor where both have it. */
export function logOfRatio(one: Taken, other: Taken): number {
  return one.cpuMs !== null && other.cpuMs !== null ? Math.log(one.cpuMs / other.cpuMs) : Math.log(one.ms / other.ms);
}

export interface Work<S extends Setting> {
  readonly space: Space<S>;
  /** For people: `512 texts of 8 to 128 tokens`. */
  readonly what: string;
  /** What it takes with a setting. What has to be loaded for that is not in it. */
  readonly measure: (setting: S) => Promise<Taken>;
  /** Drops all sessions: what is measured from then on has others. */
  readonly renew: () => Promise<void>;
  readonly close: () => Promise<void>;
}
