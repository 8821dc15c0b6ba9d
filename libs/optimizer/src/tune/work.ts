/** The work that settings of a model are compared by. */
import type { Runtime } from '@shoal/onnxruntime';
import type { Setting } from './rounds.js';
import type { Space } from './search.js';

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
}

export interface Work<S extends Setting> {
  readonly space: Space<S>;
  /** For people: `512 texts of 8 to 128 tokens`. */
  readonly what: string;
  /** Ms that it takes with a setting. What has to be loaded for that is not in them. */
  readonly measure: (setting: S) => Promise<number>;
  readonly close: () => Promise<void>;
}
