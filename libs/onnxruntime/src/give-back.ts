/** Memory of a typed array back to the operating system, while the array stays: what is read of it then is zero. */
import koffi, { type KoffiFunc } from 'koffi';
import { addressOf } from './c-api/memory.js';

/** Of <sys/mman.h> on Linux: private anonymous pages are dropped, and come back as zeros when they are touched. */
const MADV_DONTNEED = 4;
/** The largest that Linux is built for by default; where pages are smaller, a few of them are kept for nothing. */
const PAGE_BYTES = 4096n;

let madvise: KoffiFunc<(address: bigint, bytes: bigint, advice: number) => number> | undefined;

/**
 * The whole pages inside `memory` that nothing else shares. False where the operating system is none of those on which this
 * is sure to free them and to leave zeros behind; nothing has changed then.
 */
export function giveBack(memory: ArrayBufferView): boolean {
  if (process.platform !== 'linux') return false;
  const start = addressOf(memory);
  const first = ((start + PAGE_BYTES - 1n) / PAGE_BYTES) * PAGE_BYTES;
  const end = ((start + BigInt(memory.byteLength)) / PAGE_BYTES) * PAGE_BYTES;
  if (end <= first) return true;
  madvise ??= koffi.load(null).func('madvise', 'int', ['void *', 'size_t', 'int']);
  return madvise(first, end - first, MADV_DONTNEED) === 0;
}
