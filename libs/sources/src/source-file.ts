/** What every source comes down to: files with a size and, where the source knows one, a digest; each opened anywhere in it. */
import type { Readable } from 'node:stream';

export interface Digest {
  /** `git` is the SHA-1 of a git blob: of `blob <size>\0` and the contents. */
  readonly algorithm: 'sha256' | 'git' | 'md5' | 'crc32';
  /** Lower-case hexadecimal. */
  readonly value: string;
}

export interface OpenRequest {
  /** Bytes that are there already. */
  readonly from: number;
  /** Of what is there already, as an earlier answer gave it: parts of two files are not to be joined. */
  readonly validator: string | undefined;
  readonly signal: AbortSignal;
}

export interface Opened {
  /** Where the body begins: at `from`, or at 0 where the source has no parts or another file by now. */
  readonly start: number;
  /** Of the whole file, in bytes; undefined where the answer does not say. */
  readonly size: number | undefined;
  /** As that of a file; undefined where this answer tells none. */
  readonly validator: string | undefined;
  readonly body: Readable;
}

export interface SourceFile {
  /** Relative to the folder that is made, with `/`; judged by `isSafePath`. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  /** Undefined where the source tells none: its size and its validator are all that can be checked then. */
  readonly digest: Digest | undefined;
  /**
   * Tells its contents from earlier and later ones under the same name: a strong ETag, the time of its latest change.
   * Where there is neither this nor a digest, nothing that an earlier try has left is gone on with.
   */
  readonly validator: string | undefined;
  /** Changes with the contents: a digest, a commit, an ETag. */
  readonly version: string;
  /** For people: where it comes from, without a query. */
  readonly title: string;
  /** @throws PassingFault, ShoalError `source_unavailable` */
  readonly open: (request: OpenRequest) => Promise<Opened>;
}

/** Whether what an earlier try has left of it can be told from what is of other contents. */
export function isKnown({ digest, validator }: SourceFile): boolean {
  return digest !== undefined || validator !== undefined;
}

/** A model as a source has it, with the files that are needed of it. */
export interface Located {
  /** As it is written on the command line, with what it has been pinned to: `hf:org/name@<commit>`. */
  readonly origin: string;
  /** What the model is called where no other name is given. */
  readonly name: string;
  /** Names of folders that it lies under, the same for the same source. */
  readonly place: readonly string[];
  readonly files: readonly SourceFile[];
  /** The one file to import; undefined: the folder. */
  readonly entry: string | undefined;
  /** What was seen and is left aside: for people. */
  readonly notes: readonly string[];
}
