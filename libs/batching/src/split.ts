/** A failing batch is halved until the item that fails stands alone; its neighbours get their results. */

/**
 * Runs `items` and returns one value or Error per item. Where `run` throws, the halves are run by themselves, one after
 * the other; an item that fails alone gets the error. An error that `isShared` says is not of any item's making (the
 * device failed) goes to all at once.
 */
export async function runSplitting<T, R>(
  items: readonly T[],
  run: (items: readonly T[]) => Promise<readonly (R | Error)[]>,
  isShared: (error: Error) => boolean,
): Promise<(R | Error)[]> {
  try {
    const results = await run(items);
    if (results.length !== items.length) {
      throw new TypeError(`a run of ${items.length} items returned ${results.length} results`);
    }
    return [...results];
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    if (items.length === 1 || isShared(error)) return items.map(() => error);
    const middle = Math.ceil(items.length / 2);
    const left = await runSplitting(items.slice(0, middle), run, isShared);
    return [...left, ...(await runSplitting(items.slice(middle), run, isShared))];
  }
}
