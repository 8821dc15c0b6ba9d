/** Which rows of a pool are run together, so that every row of interest meets contrasting neighbours in the same place. */

/**
 * Batches of `size` out of `rows` (at least three), as numbers of rows. The first row, and the second of small batches, come
 * up in the same place beside different others.
 */
export function batchesOf(size: number, rows: number): readonly (readonly number[])[] {
  if (size === 2) return pairs(rows);
  return (size < 5 ? [0, 1] : [0]).flatMap((own) =>
    // Rows 2, 3, … in turn, and from the middle on.
    [0, size >> 1, size - 1].flatMap((place) =>
      [0, (rows - 2) >> 1].map((shift) => around(own, place, size, rows, shift)),
    ),
  );
}

/** With every other row before and after it. */
function pairs(rows: number): readonly (readonly number[])[] {
  const others = Array.from({ length: rows - 2 }, (_, n) => n + 2);
  return [
    [0, 1],
    [1, 0],
    ...others.flatMap((other) =>
      [0, 1].flatMap((own) => [
        [own, other],
        [other, own],
      ]),
    ),
  ];
}

function around(own: number, place: number, size: number, rows: number, shift: number): readonly number[] {
  const other = (i: number) => 2 + ((i + shift) % (rows - 2));
  return Array.from({ length: size }, (_, i) => (i === place ? own : other(i)));
}
