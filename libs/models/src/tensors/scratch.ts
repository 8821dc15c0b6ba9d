/**
 * Memory for outputs of a forward pass that are read at once and forgotten. New memory for every pass (a megabyte each)
 * makes the garbage collector mark the whole heap about twice a second, for 5 % of a core.
 */

/** Blocks that no pass uses; there are never more than passes that ran at once. */
const free: ArrayBuffer[] = [];

/** Runs `use` with a block of at least `byteLength` bytes that is its own until it has settled. Contents are left over. */
export async function withScratch<T>(byteLength: number, use: (memory: ArrayBuffer) => Promise<T>): Promise<T> {
  const found = free.pop();
  const memory = found && found.byteLength >= byteLength ? found : new ArrayBuffer(byteLength);
  try {
    return await use(memory);
  } finally {
    free.push(memory);
  }
}
