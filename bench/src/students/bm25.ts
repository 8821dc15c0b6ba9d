/** BM25 (Robertson and Zaragoza 2009, k₁ 1.2, b 0.75) over words in lower case: what a student has to be better than. */

const K1 = 1.2;
const B = 0.75;

/** How often a query's own document is among the `most` that score best. */
export function bm25Recall(most: number, queries: readonly string[], documents: readonly string[]): number {
  const texts = documents.map(wordsOf);
  const mean = texts.reduce((sum, { length }) => sum + length, 0) / texts.length;
  const places = new Map<string, Map<number, number>>();
  for (const [n, words] of texts.entries()) {
    for (const word of words) {
      const own = places.get(word) ?? new Map<number, number>();
      places.set(word, own.set(n, (own.get(n) ?? 0) + 1));
    }
  }
  const found = queries.filter((query, own) => {
    const scores = new Float64Array(texts.length);
    for (const word of wordsOf(query)) {
      const there = places.get(word) ?? new Map<number, number>();
      const rarity = Math.log(1 + (texts.length - there.size + 0.5) / (there.size + 0.5));
      for (const [n, count] of there) {
        const length = 1 - B + (B * texts[n]!.length) / mean;
        scores[n] = scores[n]! + (rarity * count * (K1 + 1)) / (count + K1 * length);
      }
    }
    // A document that has none of the words is not found.
    return scores[own]! > 0 && scores.filter((score) => score > scores[own]!).length < most;
  });
  return found.length / queries.length;
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
}
