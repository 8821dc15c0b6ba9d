/**
 * Texts as rows of a sparse matrix: in row n, `scales[n]` stands in the column of each of the text's features (tokens, pairs of
 * them), added up where one comes twice. Products with it are sums of rows of a table.
 */
export interface TokenRows {
  /** Where the features of each row begin in `features`, and where the last one's end. */
  readonly starts: Uint32Array;
  readonly features: Uint32Array;
  readonly scales: Float64Array;
  /** Features are below it. */
  readonly width: number;
}

export interface OneRow {
  readonly features: ArrayLike<number>;
  readonly scale: number;
}

export function tokenRows(rows: readonly OneRow[], width: number): TokenRows {
  const starts = new Uint32Array(rows.length + 1);
  for (const [n, { features }] of rows.entries()) starts[n + 1] = starts[n]! + features.length;
  const features = new Uint32Array(starts[rows.length]!);
  for (const [n, row] of rows.entries()) features.set(row.features, starts[n]!);
  return { starts, features, scales: Float64Array.from(rows, ({ scale }) => scale), width };
}

export function rowCount({ scales }: TokenRows): number {
  return scales.length;
}

/** Some of the rows, in the given order. */
export function takeRows({ starts, features, scales, width }: TokenRows, which: readonly number[]): TokenRows {
  const rows = which.map((n) => ({ features: features.subarray(starts[n]!, starts[n + 1]!), scale: scales[n]! }));
  return tokenRows(rows, width);
}

/** How often each feature comes, [width]. */
export function countFeatures({ features, width }: TokenRows): Uint32Array {
  const counts = new Uint32Array(width);
  for (const feature of features) counts[feature] = counts[feature]! + 1;
  return counts;
}

/** X·table: from [width, columns] to [rows, columns], in float64. */
export function multiply(x: TokenRows, table: Float32Array | Float64Array, columns: number): Float64Array {
  const product = new Float64Array(rowCount(x) * columns);
  multiplyInto(x, table, columns, product);
  return product;
}

export function multiplyInto(
  { starts, features, scales }: TokenRows,
  table: Float32Array | Float64Array,
  columns: number,
  product: Float64Array,
): void {
  for (let n = 0; n < scales.length; n++) {
    const to = n * columns;
    const scale = scales[n]!;
    for (let c = 0; c < columns; c++) product[to + c] = 0;
    for (let at = starts[n]!; at < starts[n + 1]!; at++) {
      const from = features[at]! * columns;
      for (let c = 0; c < columns; c++) product[to + c] = product[to + c]! + table[from + c]!;
    }
    for (let c = 0; c < columns; c++) product[to + c] = product[to + c]! * scale;
  }
}

/** Xᵀ·values: from [rows, columns] to [width, columns]. */
export function multiplyTransposed(x: TokenRows, values: Float64Array, columns: number): Float64Array {
  const product = new Float64Array(x.width * columns);
  multiplyTransposedInto(x, values, columns, product);
  return product;
}

export function multiplyTransposedInto(
  { starts, features, scales }: TokenRows,
  values: Float64Array,
  columns: number,
  product: Float64Array,
): void {
  product.fill(0);
  const scaled = new Float64Array(columns);
  for (let n = 0; n < scales.length; n++) {
    const from = n * columns;
    const scale = scales[n]!;
    for (let c = 0; c < columns; c++) scaled[c] = values[from + c]! * scale;
    for (let at = starts[n]!; at < starts[n + 1]!; at++) {
      const to = features[at]! * columns;
      for (let c = 0; c < columns; c++) product[to + c] = product[to + c]! + scaled[c]!;
    }
  }
}

/** Numbers the features that there are from 0 on, in their order; the others have nothing to be fitted to. */
export function seenFeatures(x: TokenRows): { readonly rows: TokenRows; readonly seen: Uint32Array } {
  const counts = countFeatures(x);
  const seen: number[] = [];
  const places = new Uint32Array(x.width);
  for (const [feature, count] of counts.entries()) {
    if (count === 0) continue;
    places[feature] = seen.length;
    seen.push(feature);
  }
  const features = x.features.map((feature) => places[feature]!);
  return { rows: { ...x, features, width: seen.length }, seen: Uint32Array.from(seen) };
}
