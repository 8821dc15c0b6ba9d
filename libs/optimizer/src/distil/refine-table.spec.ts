import { describe, expect, test } from 'vitest';
import { multiply, type OneRow, tokenRows } from '../linear/token-rows.js';
import { chooseRestraint, refineTable } from './refine-table.js';
import { likenessOf, type PriorLesson, staticPrior } from './static-prior.js';

const TOKENS = 40;
const COLUMNS = 70;
const { signal } = new AbortController();
const noise = (n: number) => Math.sin(12.9898 * n * n + 78.233 * n);
const TRUTH = Float32Array.from({ length: TOKENS * COLUMNS }, (_, n) => noise(n));

/** Texts of four tokens each, none of them the last token; and the vectors that a table gives them. */
function lessonOf(count: number, table: Float32Array, error = 0): PriorLesson {
  const rows: OneRow[] = Array.from({ length: count }, (_, n) => ({
    features: Array.from({ length: 4 }, (_, i) => Math.floor(((noise(4 * n + i) + 1) / 2) * (TOKENS - 1.001))),
    scale: 1 / 4,
  }));
  const x = tokenRows(rows, TOKENS);
  const values = Float32Array.from(multiply(x, table, COLUMNS), (value, n) => value + error * noise(n + 17));
  return { rows: x, answers: { values, dimensions: COLUMNS } };
}

const parts = (count: number) => ({
  heldOut: Array.from({ length: count / 5 }, (_, n) => 5 * n),
  rest: Array.from({ length: count }, (_, n) => n).filter((n) => n % 5 !== 0),
});

describe('a table fitted to vectors of texts', () => {
  test('finds the table that they were made with, all columns of it, and leaves tokens of no text alone', async () => {
    const prior = new Float32Array(TOKENS * COLUMNS).fill(0.5);
    const steps: number[] = [];
    const context = { signal, onProgress: (share: number) => steps.push(share) };
    const table = await refineTable(prior, lessonOf(400, TRUTH), { ridge: 1e-6, steps: 200 }, context);
    const seen = (TOKENS - 1) * COLUMNS;
    for (let at = 0; at < seen; at++) if (Math.abs(table[at]! - TRUTH[at]!) > 1e-3) expect(at).toBe('fitted');
    expect([...table.subarray(seen)]).toEqual(new Array<number>(COLUMNS).fill(0.5));
    expect(steps.at(-1)).toBe(1);
  });

  test('is held back the more, the less its texts tell', async () => {
    const prior = new Float32Array(TOKENS * COLUMNS);
    const clear = await chooseRestraint(prior, lessonOf(400, TRUTH), parts(400), signal);
    const unclear = await chooseRestraint(prior, lessonOf(100, TRUTH, 3), parts(100), signal);
    expect(clear.ridge).toBe(0.01);
    expect(clear.error).toBeLessThan(1e-3);
    expect(unclear.ridge).toBeGreaterThan(0.01);
  });
});

describe('the first table', () => {
  const WIDTH = 12;
  const vectors = Float32Array.from({ length: TOKENS * WIDTH }, (_, n) => noise(n + 5));
  const map = Float64Array.from({ length: WIDTH * COLUMNS }, (_, n) => noise(n + 9));
  const mapped = Float32Array.from({ length: TOKENS * COLUMNS }, (_, n) => {
    const [token, c] = [Math.floor(n / COLUMNS), n % COLUMNS];
    let sum = 1;
    for (let i = 0; i < WIDTH; i++) sum += vectors[token * WIDTH + i]! * map[i * COLUMNS + c]!;
    return sum;
  });

  test.each(['the number of tokens', 'their weights'])(
    'is where a linear map leads, with sums divided by %s',
    (divisor) => {
      const weights = Float64Array.from({ length: TOKENS }, (_, n) => 0.2 + 0.8 / (1 + (n % 4)));
      const counts = divisor === 'their weights' ? weights : new Float64Array(TOKENS).fill(1);
      const lesson = (from: PriorLesson): PriorLesson => {
        const { starts, features, width } = from.rows;
        const rows = Array.from({ length: from.rows.scales.length }, (_, n) => {
          const own = features.subarray(starts[n]!, starts[n + 1]!);
          return { features: own, scale: 1 / own.reduce((sum, token) => sum + counts[token]!, 0) };
        });
        const x = tokenRows(rows, width);
        // What a text is to the teacher: the map of its tokens' weighted mean.
        const means = multiply(
          x,
          vectors.map((value, at) => value * weights[Math.floor(at / WIDTH)]!),
          WIDTH,
        );
        const values = Float32Array.from({ length: rows.length * COLUMNS }, (_, at) => {
          const [n, c] = [Math.floor(at / COLUMNS), at % COLUMNS];
          let sum = 1;
          for (let i = 0; i < WIDTH; i++) sum += means[n * WIDTH + i]! * map[i * COLUMNS + c]!;
          return sum;
        });
        return { rows: x, answers: { values, dimensions: COLUMNS } };
      };
      const [taught, choice] = [lesson(lessonOf(300, mapped)), lesson(lessonOf(60, mapped))];
      const { table, dropped } = staticPrior({ vectors, width: WIDTH, alone: 0 }, { weights, counts }, taught, choice);
      expect(dropped).toBe(0);
      expect(likenessOf(multiply(choice.rows, table, COLUMNS), choice.answers)).toBeGreaterThan(0.999);
    },
  );
});
