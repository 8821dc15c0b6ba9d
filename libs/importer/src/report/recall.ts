/** Which place a query's own document has among all documents, by likeness. */

/**
 * Of each query, how many documents are more alike it than its own, which has the query's place in the list: 0 where none is.
 * The dot product tells; ties are in the query's favour. Vectors have one length.
 */
function ranksOfOwn(queries: readonly ArrayLike<number>[], documents: readonly ArrayLike<number>[]): readonly number[] {
  return queries.map((query, n) => {
    const own = dot(query, documents[n]!);
    let nearer = 0;
    for (const document of documents) if (dot(query, document) > own) nearer += 1;
    return nearer;
  });
}

/** How often a query's own document is among the `most` that are most alike it. */
export function recallAt(
  most: number,
  queries: readonly ArrayLike<number>[],
  documents: readonly ArrayLike<number>[],
): number {
  return ranksOfOwn(queries, documents).filter((rank) => rank < most).length / queries.length;
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let n = 0; n < a.length; n++) sum += a[n]! * b[n]!;
  return sum;
}
