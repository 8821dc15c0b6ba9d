/** Files as their records tell of them; what they hold is in the store (libs/storage). */
import type { FilePurpose } from '@shoal/contracts';

export interface NewFile {
  readonly purpose: FilePurpose;
  readonly filename: string;
  /** Bytes that are set aside for it; more may come. */
  readonly reservedBytes: number;
}

/** Whose file it is, and which. */
export interface FileName {
  readonly tenant: string;
  readonly id: string;
}

/** A run of a file's bytes, as one blob of the store. */
export interface FilePiece {
  /** In the store; made by `pieceKey`. */
  readonly key: string;
  readonly bytes: number;
}

export interface FileRecord {
  readonly id: string;
  readonly purpose: FilePurpose;
  readonly filename: string;
  readonly bytes: number;
  /** Unix ms by Redis's clock. */
  readonly createdAt: number;
  /** Null: kept until it is deleted. */
  readonly expiresAt: number | null;
}

export interface StoredFile extends FileRecord {
  readonly pieces: readonly FilePiece[];
}

export interface FinishedFile {
  /** Left out: the file is kept until it is deleted. */
  readonly expiresAfterMs?: number;
  /** `fingerprint` tells what was uploaded apart from anything else, without spaces. */
  readonly idempotency?: { readonly key: string; readonly fingerprint: string } | undefined;
}

export interface FileFilter {
  /** Any where left out. */
  readonly purpose?: string | undefined;
  readonly limit: number;
  readonly order: 'asc' | 'desc';
  /** The file that they come after; it need not be there any more. */
  readonly after?: string | undefined;
}

export interface FilePage {
  readonly files: readonly FileRecord[];
  readonly more: boolean;
}

/** Of all tenants, what is being written included. */
export interface FileTotals {
  readonly files: number;
  readonly bytes: number;
}

/** Most that one tenant may have; what batches write counts, and is never refused. */
export interface FileQuotas {
  readonly files: number;
  readonly bytes: number;
}
