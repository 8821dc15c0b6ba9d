/** What a run is asked for, what it tells, and what comes of it. */

import type { Row } from '../report/types.js';
import type { TeacherElsewhere } from '../teacher/types.js';
import type { Allowed, Context, Method } from '../types.js';

export interface OptimizeRequest {
  /** Folder of model folders. */
  readonly models: string;
  /** `name`, `name@2`, or a name of models.json. */
  readonly model: string;
  /** File of examples. */
  readonly data: string;
  readonly allowed: Allowed;
  /** Longest time that it may take, in seconds. */
  readonly seconds: number;
  /** Names of methods; empty: all. */
  readonly methods: readonly string[];
  /** Candidates that do not pass are kept all the same, marked as such; variants that are there are replaced. */
  readonly force: boolean;
  /** Folder of the journals and reports of all models. */
  readonly to: string;
}

export interface MethodTable {
  readonly methods: readonly Method[];
  /** URL of a module that gives the same as METHODS, for the processes of trials. */
  readonly module: string;
}

/** How far a run is. */
export interface RunProgress {
  /** From 0 to 1. */
  readonly share: number;
  readonly secondsLeft: number;
  /** `int4: measured` */
  readonly doing: string;
  /** `int8 1.52×, loses 0.10 %`: the speed for one text alone. */
  readonly best: string | undefined;
}

export interface OptimizeContext extends Pick<Context, 'runtime' | 'now' | 'signal' | 'say'> {
  readonly date: () => Date;
  readonly table: MethodTable;
  /** A few times a second at most. */
  readonly onProgress: (progress: RunProgress) => void;
  /** Others who serve the original, and whose answers methods learn from; left out: it answers in the processes of trials. */
  readonly teacher?: TeacherElsewhere;
}

export interface Optimized {
  readonly rows: readonly Row[];
  /** The page. */
  readonly report: string;
  /** The table, as lines of Markdown. */
  readonly lines: readonly string[];
}
