/**
 * Answers of a teacher on the disk, a file for each page: computed once, however many trials learn from them and however often a run
 * is ended. A file is there as a whole or not at all, and one that is damaged counts as not there.
 *
 * A file is a header of 24 bytes (`SHOALTA1`, kind, questions, width, 0; 32 bits each), the number of rows of each question (uint32),
 * the rows (float32), all little-endian, and the SHA-256 of what stands before it.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type AnswerRows, ROW_KINDS } from './answer-rows.js';

const MAGIC = 'SHOALTA1';
const HEADER = 24;
const HASH = 32;
const [WHOLE, PART] = ['.answers', '.part'] as const;
/** Most bytes of all pages of a run: 50,000 vectors of 4,096 floats take 0.8 GB. */
const MOST_BYTES = 2 ** 31;

export class KeptPages {
  readonly #folder: string;
  readonly #most: number;
  #bytes: number;

  /** Makes the folder where it is not there. */
  constructor(folder: string, mostBytes = MOST_BYTES) {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
    this.#most = mostBytes;
    this.#bytes = readdirSync(folder)
      .filter((name) => name.endsWith(WHOLE))
      .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  }

  /** Undefined where there are none of so many questions; a file that is damaged is removed. */
  read(key: string, questions: number): AnswerRows | undefined {
    const path = this.#pathOf(key);
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    const rows = rowsIn(bytes);
    if (rows?.counts.length === questions) return rows;
    rmSync(path, { force: true });
    this.#bytes -= bytes.length;
    return undefined;
  }

  /**
   * Returns once they are on the disk; false where they would take more room than all may have, and are not kept.
   *
   * @throws what writing throws, as ENOSPC; nothing is left of it then
   */
  write(key: string, rows: AnswerRows): boolean {
    const bytes = bytesOf(rows);
    if (this.#bytes + bytes.length > this.#most) return false;
    const part = `${this.#pathOf(key)}.${process.pid}${PART}`;
    try {
      const file = openSync(part, 'w');
      try {
        for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(part, this.#pathOf(key));
    } catch (error) {
      rmSync(part, { force: true });
      throw error;
    }
    this.#bytes += bytes.length;
    return true;
  }

  #pathOf(key: string): string {
    return join(this.#folder, `${key}${WHOLE}`);
  }
}

/** Removes from `folder` the answers of other runs than that of `print`, and what writing them was ended at. */
export function cleanPages(folder: string, print: string): void {
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) if (name !== print) rmSync(join(folder, name), { recursive: true });
  const own = join(folder, print);
  mkdirSync(own, { recursive: true });
  for (const name of readdirSync(own)) if (name.endsWith(PART)) rmSync(join(own, name));
}

function bytesOf({ kind, width, counts, values }: AnswerRows): Buffer {
  const header = Buffer.alloc(HEADER);
  header.write(MAGIC, 'latin1');
  for (const [n, field] of [ROW_KINDS.indexOf(kind), counts.length, width, 0].entries()) {
    header.writeUInt32LE(field, MAGIC.length + 4 * n);
  }
  const parts = [header, asBytes(counts), asBytes(values)];
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return Buffer.concat([...parts, hash.digest()]);
}

/** Undefined where they are not what was written. */
function rowsIn(bytes: Buffer): AnswerRows | undefined {
  const end = bytes.length - HASH;
  if (end < HEADER || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined;
  const content = bytes.subarray(0, end);
  if (!createHash('sha256').update(content).digest().equals(bytes.subarray(end))) return undefined;
  const [kind, questions, width] = [0, 1, 2].map((n) => bytes.readUInt32LE(MAGIC.length + 4 * n));
  // Copies, since elements have to begin where their size lets them.
  const rows = HEADER + 4 * questions!;
  const counts = new Uint32Array(new Uint8Array(content.subarray(HEADER, rows)).buffer);
  const values = new Float32Array(new Uint8Array(content.subarray(rows)).buffer);
  return { kind: ROW_KINDS[kind!]!, width: width!, counts, values };
}

function asBytes({ buffer, byteOffset, byteLength }: Uint32Array | Float32Array): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
