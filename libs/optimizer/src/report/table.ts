/** The table of a run: what each candidate costs and gains, and what became of it. */
import { type SpeedRatio, sizeOf } from '@shoal/contracts';
import { methodsOf } from '../run/stack.js';
import { markdownTable } from './markdown.js';
import { figuresOf, type Row, type RunState } from './types.js';
import { lossWords, OUTCOMES, shapeWords, speedWords } from './words.js';

export interface Table {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The original first; size, loss with its bound, the speed for one text and in bulk, each with its interval. */
export function tableOf({ original, rows }: RunState): Table {
  const measured = rows.flatMap((row) => figuresOf(row) ?? []);
  const [first] = measured;
  const [one, bulk] = [first?.speeds[0], first?.speeds.at(-1)];
  const metric = first === undefined ? 'loss' : `loss of ${first.loss.metric}`;
  const shapes = [one, bulk].map((speed) => `speed, ${speed === undefined ? 'n texts' : shapeWords(speed)}`);
  const titles = ['variant', 'method', 'size', `${metric} (bound)`, ...(first === undefined ? [] : shapes), 'verdict'];
  const blank = first === undefined ? [] : ['1.00×', '1.00×'];
  return {
    titles,
    rows: [
      [original.variant, 'the original', sizeOf(original.bytes), '', ...blank, ''],
      ...rows.map((row) => [
        ...[
          row.candidate.variant,
          row.how ?? methodsOf(row.candidate),
          row.bytes === undefined ? '' : sizeOf(row.bytes),
        ],
        ...cellsOf(row, first !== undefined),
        OUTCOMES[row.outcome],
      ]),
    ],
  };
}

function cellsOf(row: Row, speeds: boolean): readonly string[] {
  const figures = figuresOf(row);
  if (figures === undefined) return speeds ? ['', '', ''] : [''];
  const speed = (ratio: SpeedRatio | undefined) => (ratio === undefined ? '' : speedWords(ratio));
  // What choices are made by is a fifth of the texts: said where there is no more.
  const part = row.verdict === undefined ? ', by the choice part' : '';
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
