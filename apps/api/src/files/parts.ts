/** What files need from outside. */
import type { FileStore } from '@shoal/queue';
import type { Store } from '@shoal/storage';
import type { UploadLimits } from './uploads.js';

/** Injects FileParts. */
export const FILE_PARTS = Symbol('file parts');

export interface FileParts {
  readonly limits: UploadLimits;
  /** Null where no store is configured. */
  readonly kept: Kept | null;
}

export interface Kept {
  /** What there is to know of each file. */
  readonly records: FileStore;
  /** What they hold. */
  readonly store: Store;
}
