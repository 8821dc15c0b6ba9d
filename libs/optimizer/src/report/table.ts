/** The table of a run: what each candidate costs and gains, and what became of it. */
import { type LossMetric, type SpeedRatio, sizeOf } from '@shoal/contracts';
import { methodsOf } from '../run/stack.js';
import { markdownTable } from './markdown.js';
import { figuresOf, type Row, type RunState } from './types.js';
import { lossWords, OUTCOMES, shapeWords, speedWords } from './words.js';

export interface Table {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The original first; size, loss with its bound, the speed for one text and in bulk, each with its interval. */
export function tableOf({ original, rows, metric }: RunState): Table {
  const measured = rows.flatMap((row) => figuresOf(row) ?? []);
  const [first] = measured;
  const [one, bulk] = [first?.speeds[0], first?.speeds.at(-1)];
  const shapes = [one, bulk].map((speed) => `speed, ${speed === undefined ? 'n texts' : shapeWords(speed)}`);
  const titles = [
    'variant',
    'method',
    'size',
    `loss of ${metric} (bound)`,
    ...(first === undefined ? [] : shapes),
    'verdict',
  ];
  const blank = first === undefined ? [] : ['1.00×', '1.00×'];
  return {
    titles,
    rows: [
      [original.variant, 'the original', sizeOf(original.bytes), '', ...blank, ''],
      ...rows.map((row) => [
        ...[row.candidate.variant, methodOf(row), row.bytes === undefined ? '' : sizeOf(row.bytes)],
        ...cellsOf(row, metric, first !== undefined),
        OUTCOMES[row.outcome],
      ]),
    ],
  };
}

/** How it was made; of a cascade also how much is left to its teacher, which decides on what it costs. */
function methodOf(row: Row): string {
  const escalated = figuresOf(row)?.escalated;
  const how = row.how ?? methodsOf(row.candidate);
  return escalated === undefined ? how : `${how}; the teacher answers ${(100 * escalated).toFixed(1)} %`;
}

function cellsOf(row: Row, metric: LossMetric, speeds: boolean): readonly string[] {
  const figures = figuresOf(row);
  if (figures === undefined) return speeds ? ['', '', ''] : [''];
  const speed = (ratio: SpeedRatio | undefined) => (ratio === undefined ? '' : speedWords(ratio));
  // What choices are made by is a fifth of the texts, and may be another metric: said where there is no more.
  const other = figures.loss.metric === metric ? '' : ` of ${figures.loss.metric}`;
  const part = row.verdict === undefined ? `${other}, by the choice part` : '';
  return [`${lossWords(figures.loss)}${part}`, speed(figures.speeds[0]), speed(figures.speeds.at(-1))];
}

/** For the terminal: the table, and why each candidate is not kept. */
export function tableLines(state: RunState): readonly string[] {
  const { titles, rows } = tableOf(state);
  const reasons = state.rows.flatMap(({ candidate, outcome, reason }) =>
    reason === undefined ? [] : [`${candidate.variant}: ${OUTCOMES[outcome]}: ${reason}.`],
  );
  return [
    ...markdownTable(titles, rows),
    ...reasons,
    ...state.impossible.map(({ method, why }) => `${method}: ${why}.`),
  ];
}
