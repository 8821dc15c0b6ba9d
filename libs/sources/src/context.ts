/** What a pull is given beside its source: where to say what, how long to wait, whom to trust. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AllowList } from '@shoal/network';

export interface PullProgress {
  /** The file that the latest bytes are of. */
  readonly file: string;
  /** Bytes that are there, those of an earlier try among them. */
  readonly done: number;
  readonly total: number;
}

/** Of the files of a pull. */
export type GoesOn = 'all' | 'some' | 'none';

export interface PullContext {
  /** Tells a person what was found and what is done, a line at a time. */
  readonly say: (line: string) => void;
  /** Called once it is known what will be fetched; what of it the next pull can go on with, where this one is stopped. */
  readonly onStart?: (goesOn: GoesOn) => void;
  /** Called for each chunk that came. */
  readonly onProgress?: (progress: PullProgress) => void;
  /** Ends it; what came so far is kept, and the next pull goes on with it, where the source tells versions of a file apart. */
  readonly signal: AbortSignal;
  /** Networks that redirects may lead to beside the public internet. */
  readonly allow: AllowList;
  readonly hub: HubSettings;
  readonly s3: S3Settings;
  readonly patience: Patience;
}

export interface HubSettings {
  /** URL without a slash at its end. */
  readonly endpoint: string;
  readonly token: string | undefined;
}

export interface S3Settings {
  /** URL of what is no Amazon: MinIO, Ceph, R2. */
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
}

export interface Patience {
  /** Ms until the head of an answer must be there, connecting included. */
  readonly headMs: number;
  /** Ms in which at least `stallBytes` have to come. */
  readonly stallMs: number;
  readonly stallBytes: number;
  /** Resolves after a pause in ms; rejects as soon as the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

export const PATIENCE: Patience = {
  headMs: 30_000,
  stallMs: 30_000,
  stallBytes: 30 * 1024,
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, { signal });
  },
};
