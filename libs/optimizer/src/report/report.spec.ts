/** The page and the table of a run: all that is known of it, and nothing that anything in it could break. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { planLines } from '../run/plan-lines.js';
import { measured } from '../testing/measured.js';
import type { Comparison } from '../types.js';
import { nextSteps } from './next-steps.js';
import { pageOf } from './page.js';
import { plotOf } from './plot.js';
import { tableLines } from './table.js';
import type { Row, RunState } from './types.js';
import { writeReport } from './write-report.js';

/** Whatever a method, a file or a model is called. */
const EVIL = `</title><script src="https://evil.example/x.js">alert('1')</script>|&\u0000\ud800 "'`;

function comparison(mean: number, ratio: number): Comparison {
  return {
    loss: { metric: 'accuracy', mean, bound: mean + 0.004, texts: 700 },
    speeds: [
      { batch: 1, tokens: 16, ratio, low: ratio - 0.1, high: ratio + 0.1 },
      { batch: 32, tokens: 16, ratio: 2 * ratio, low: 2 * ratio - 0.1, high: 2 * ratio + 0.1 },
    ],
    figures: { 'macro F1': { original: 0.71, candidate: 0.7 }, [EVIL]: { original: null, candidate: 3 } },
  };
}

function row(variant: string, changes: Partial<Row>): Row {
  return {
    candidate: { method: 'int8', variant, settings: {}, seconds: 1 },
    ...{ outcome: 'waiting', reason: undefined, how: undefined, notes: [], bytes: undefined },
    ...{ choice: undefined, verdict: undefined, ...changes },
  };
}

const STATE: RunState = {
  ...{ metric: 'accuracy', choosing: 'accuracy', spent: { commands: 0, verdicts: 0 } },
  ...{ model: `m${EVIL}@1`, task: 'text-classification', machine: EVIL, allowed: 0.01, state: 'ended' },
  ...{ original: { variant: 'fp32', bytes: 6e6 }, at: '2026-01-01T00:00:00.000Z' },
  data: { file: EVIL, what: 'labelled texts', calibration: 400, choice: 300, verdict: 1700, unused: [] },
  rows: [
    row('int8', {
      outcome: 'passed',
      how: 'int8',
      bytes: 3e6,
      choice: comparison(0, 1.2),
      verdict: comparison(0.001, 1.3),
    }),
    row('int4', {
      outcome: 'refused',
      reason: `not faster ${EVIL}`,
      bytes: 2e6,
      choice: comparison(0.002, 0.9),
      notes: [EVIL],
    }),
    row('layers2', { outcome: 'crashed', reason: 'its process was killed (SIGKILL)' }),
    row('static', {}),
  ],
  before: {},
  impossible: [{ method: 'fp16', why: EVIL }],
};

const PLANNED = { verdicts: 9, stacks: { count: 0, seconds: 0 }, limit: 100 };

/** Its elements; throws where it is not well-formed as XML. */
function elementsOf(page: string): readonly string[] {
  const text = page.replace(/^<!DOCTYPE html>\n/, '').replace(/<style>[^<]*<\/style>/, '');
  const open: string[] = [];
  const seen: string[] = [];
  let at = 0;
  const token = /<(\/?)([a-z][a-z0-9]*)((?:\s+[\w:-]+="[^"<>]*")*)\s*(\/?)>/gi;
  for (const match of text.matchAll(token)) {
    refuseText(text.slice(at, match.index));
    at = match.index + match[0].length;
    const [, closing, name = '', , empty] = match;
    if (closing !== '') {
      if (open.pop() !== name) throw new Error(`</${name}> closes nothing`);
    } else {
      seen.push(name);
      if (empty === '') open.push(name);
    }
  }
  refuseText(text.slice(at));
  if (open.length > 0) throw new Error(`<${open.at(-1)}> is not closed`);
  return seen;
}

function refuseText(text: string): void {
  if (/[<>]|&(?!(amp|lt|gt|quot|#39);)/.test(text)) throw new Error(`not escaped: ${text.slice(0, 100)}`);
}

test('the page is well-formed, and names of anything are text in it', () => {
  const elements = elementsOf(pageOf(STATE));
  expect(elements).not.toContain('script');
  // Each of two pictures for wide and for narrow screens.
  expect(elements.filter((name) => name === 'svg')).toHaveLength(4);
});

test('the page needs nothing from elsewhere', () => {
  const page = pageOf(STATE).replaceAll('xmlns="http://www.w3.org/2000/svg"', '');
  // In tags: what stands in texts is only read.
  const tags = [...page.matchAll(/<[a-z][^>]*>/gi)].join('');
  expect(tags).not.toMatch(/https?:|\bsrc=|\bhref=|url\(|@import/i);
  expect(/<style>([^<]*)<\/style>/.exec(page)?.[1]).not.toMatch(/https?:|url\(|@import/i);
});

test('each picture has a title and a description that say what it shows', () => {
  const page = pageOf(STATE);
  for (const [shape, texts] of [
    ['first', '1 text'],
    ['last', '32 texts'],
  ]) {
    for (const id of ['wide', 'narrow'].map((size) => `plot-${shape}-${size}`)) {
      expect(page).toContain(`aria-labelledby="${id}-title ${id}-desc"`);
      expect(page).toContain(`<title id="${id}-title">Loss against speed for ${texts}</title>`);
    }
  }
  expect(page).toMatch(
    /<desc[^>]*>int8: 1\.30× \(1\.20 to 1\.40\) the original&#39;s speed, loses 0\.10 % \(≤ 0\.50 %\), passed;/,
  );
});

test('what was not kept is told with its reason, and what to do next', () => {
  const page = pageOf(STATE);
  expect(page).toContain('layers2: crashed: its process was killed (SIGKILL).');
  expect(page).toMatch(
    /<li>int8 is served as .*:int8, and once a worker has loaded it to requests with max_accuracy_loss of 0\.005 or more as well; all others get what they got before/,
  );
  expect(page).toContain('deleting the journal');
});

test('what earlier commands have kept stays on the page, unless it was kept anew', () => {
  const before = { int4: measured(0.003), int8: measured(0.002) };
  const page = pageOf({ ...STATE, before });
  expect(() => elementsOf(page)).not.toThrow();
  const [, table = ''] = /<h2>Kept before<\/h2>([\s\S]*?)<\/section>/.exec(page)!;
  expect(table).toContain('<th scope="row">int4</th>');
  expect(table).toContain('0.30 % (≤');
  expect(table).not.toContain('<th scope="row">int8</th>');
  expect(pageOf(STATE)).not.toContain('Kept before');
});

test('what to do next follows from why it ended so', () => {
  const steps = (state: Partial<RunState>) => nextSteps({ ...STATE, model: 'm@1', ...state }).join(' ');
  expect(steps({ rows: [row('int8', { outcome: 'left_out' })] })).toContain('larger --time');
  expect(steps({ rows: [row('int8', { outcome: 'taken' })] })).not.toContain('--time');
  const rows = [row('int8', { outcome: 'refused', reason: 'too few texts: 1.00 % is allowed' })];
  expect(steps({ rows })).toMatch(/Give more labelled texts .* A file without any labels does as well: .* agreement/);
  const texts = { ...STATE.data, what: 'texts' };
  expect(steps({ rows, data: texts })).toMatch(/Give more texts where there were too few: half .* verdict\.$/);
  const worse = [row('int8', { outcome: 'refused', reason: 'a loss of 2.00 %; 1.00 % is allowed' })];
  expect(steps({ rows: worse })).toContain('only what the new limit lets through is judged');
});

test.each(['running', 'stopped'] as const)('a run of which nothing is known yet has a page too: %s', (state) => {
  const page = pageOf({ ...STATE, state, rows: [row('int8', {})], impossible: [] });
  expect(elementsOf(page)).not.toContain('svg');
});

test('the table has the verdict’s figures where there are some, and says where there are not', () => {
  const [head = '', , fp32 = '', int8 = '', int4 = ''] = tableLines({ ...STATE, model: 'm@1' });
  expect(head).toMatch(
    /^\| variant +\| method +\| size +\| loss of accuracy \(bound\) +\| speed, 1 text +\| speed, 32 texts +\| verdict +\|$/,
  );
  expect(fp32).toMatch(/^\| fp32 +\| the original +\| 6\.0 MB +\| +\| 1\.00× +\| 1\.00× +\| +\|$/);
  expect(int8).toMatch(/\| 0\.10 % \(≤ 0\.50 %\) +\| 1\.30× \(1\.20 to 1\.40\) +\| 2\.60× .*\| passed +\|$/);
  expect(int4).toMatch(/\| 0\.20 % \(≤ 0\.60 %\), by the choice part +\|.*\| refused +\|$/);
});

test('the page on the disk is replaced as a whole', () => {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-report-'));
  try {
    const path = join(folder, 'report.html');
    writeReport(path, { ...STATE, state: 'running' });
    writeReport(path, STATE);
    expect(readFileSync(path, 'utf8')).toBe(pageOf(STATE));
    expect(readdirSync(folder)).toEqual(['report.html']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('it says what choices and verdicts rest on, where that is not what one would think', () => {
  const plain = pageOf(STATE);
  expect(plain).not.toContain('Choices are made by');
  expect(plain).not.toContain('given by these texts before');
  const spent = { commands: 2, verdicts: 5 };
  const state: RunState = { ...STATE, metric: 'recall@10', choosing: 'ndcg@10', spent };
  const page = pageOf(state);
  const plan = planLines(state, [{ candidate: state.rows[0]!.candidate, make: 9, measure: 9 }], PLANNED).join('\n');
  for (const told of [page, plan]) {
    expect(told).toContain('Choices are made by ndcg@10: of so few pairs recall@10 finds nearly all');
    expect(told).toContain('5 verdicts were given by these texts before; a new candidate needs more texts');
  }
  // Where all is known nothing is used up; and what the plan says is not said again.
  const known = planLines(state, [{ candidate: state.rows[0]!.candidate, make: 0, measure: 0 }], {
    ...PLANNED,
    verdicts: 0,
  });
  for (const lines of [known, tableLines(state)]) expect(lines.join('\n')).not.toContain('given by these texts');
});

test('a candidate that has no verdict tells the metric that it was chosen by', () => {
  const state: RunState = { ...STATE, metric: 'recall@10', choosing: 'accuracy' };
  const [head, , , int8, int4] = tableLines(state);
  expect(head).toContain('loss of recall@10 (bound)');
  expect(int4).toContain('of accuracy, by the choice part');
  expect(int8).not.toContain('by the choice part');
});

test('a cascade tells how much of the texts is left to its teacher', () => {
  const verdict = { ...comparison(0.001, 2), escalated: 0.3071 };
  const rows = [row('cascade10', { outcome: 'passed', how: 'cascade', bytes: 8e6, verdict })];
  for (const told of [tableLines({ ...STATE, rows }).join(), pageOf({ ...STATE, rows })]) {
    expect(told).toContain('cascade; the teacher answers 30.7 %');
  }
});

/** A verdict or another figure at this place of the picture. */
function at(variant: string, outcome: Row['outcome'], mean: number, ratio: number): Row {
  return row(variant, { outcome, verdict: comparison(mean, ratio) });
}

/** Near each other, far off the scale, with long names, and at the right end. */
const MANY: RunState = {
  ...STATE,
  rows: [
    at('int8', 'passed', 0.0012, 1.42),
    at('int8-smooth', 'outdone', 0.001, 1.4),
    at('neurons192_int8-smooth-f10', 'passed', 0.0041, 2.1),
    at('neurons192_int8-smooth-f12', 'refused', 0.0051, 2.15),
    at('neurons256', 'passed', 0.0021, 1.3),
    at('layers2', 'passed', 0.0045, 3.2),
    at('static-head', 'refused', 0.1552, 3.5),
    at('static-all', 'refused', 0.2552, 3.55),
    at('int4-importance', 'refused', 0.004, 0.9),
    at('int4', 'forced', 0.022, 0.88),
    at('heads6_neurons192_layers2_int8-smooth-f10', 'refused', 0.009, 3.4),
    row('fp16', { outcome: 'left_out' }),
  ],
};
const CROWD: RunState = {
  ...STATE,
  rows: Array.from({ length: 14 }, (_, n) =>
    at(`neurons${192 + n}_int8-smooth-f10`, n % 3 === 0 ? 'passed' : 'refused', 0.002, 1.5 + 0.001 * n),
  ),
};

interface Extent {
  readonly what: string;
  readonly sides: readonly [left: number, top: number, right: number, bottom: number];
}

function attributesOf(svg: string, element: string, kind: RegExp): readonly Readonly<Record<string, string>>[] {
  const found = [...svg.matchAll(new RegExp(`<${element} ([^>]*?)/?>([^<]*)`, 'g'))];
  return found
    .map(([, attributes = '', words = '']) => {
      const pairs = [...attributes.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]);
      return { ...Object.fromEntries(pairs), words } as Record<string, string>;
    })
    .filter((one) => kind.test(one.class ?? ''));
}

/** Of a usual font of 13 pixels, seven a character. */
function wordsOf(svg: string): readonly Extent[] {
  return attributesOf(svg, 'text', /^(label|note)$/).map(({ x, y, words = '', 'text-anchor': anchor }) => {
    const width = 7 * words.replaceAll(/&[^;]+;/g, '&').length;
    const left = anchor === 'end' ? Number(x) - width : Number(x);
    return { what: words, sides: [left, Number(y) - 10, left + width, Number(y) + 3] };
  });
}

function drawnOf(svg: string): readonly Extent[] {
  const extent = (xs: readonly number[], ys: readonly number[], what = ''): Extent => ({
    what,
    sides: [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)],
  });
  const circles = attributesOf(svg, 'circle', /./).map(({ cx, cy, r, class: what }) =>
    extent([Number(cx) - Number(r), Number(cx) + Number(r)], [Number(cy) - Number(r), Number(cy) + Number(r)], what),
  );
  const squares = attributesOf(svg, 'rect', /mark/).map(({ x, y, class: what }) =>
    extent([Number(x), Number(x) + 10], [Number(y), Number(y) + 10], what),
  );
  const lines = attributesOf(svg, 'line', /whisker|limit/).map(({ x1, x2, y1, y2, class: what }) =>
    extent([Number(x1), Number(x2)], [Number(y1), Number(y2)], what),
  );
  return [...circles, ...squares, ...lines];
}

test.each([
  ['a few', STATE],
  ['many', MANY],
  ['a crowd', CROWD],
])(
  'no label lies on another, on a mark, on an interval or on the limit, and each is whole within the picture: %s',
  (_, state) => {
    const sizes = [
      ['wide', 72, 696, 344],
      ['narrow', 64, 344, 384],
    ] as const;
    for (const [size, least, most, lowest] of sizes) {
      for (const shape of ['first', 'last'] as const) {
        const svg = plotOf(state, shape, size);
        const words = wordsOf(svg);
        const measured = state.rows.filter(({ choice, verdict }) => choice ?? verdict);
        expect(words, `${size}: ${words.map(({ what }) => what)}`).toHaveLength(measured.length + 2);
        for (const [n, one] of words.entries()) {
          const [left, top, right, bottom] = one.sides;
          expect(left >= least && right <= most && top >= 24 && bottom <= lowest, `${one.what} within`).toBe(true);
          for (const other of [...words.slice(n + 1), ...drawnOf(svg)]) {
            const [l, t, r, b] = other.sides;
            expect(left < r && l < right && top < b && t < bottom, `${one.what} on ${other.what}`).toBe(false);
          }
        }
      }
    }
  },
);

test('on a narrow screen words keep their size: another picture is shown there, of 360 pixels', () => {
  const page = pageOf(STATE);
  expect(page.match(/viewBox="0 0 (\d+) /g)).toEqual([720, 360, 720, 360].map((width) => `viewBox="0 0 ${width} `));
  expect(page).toMatch(
    /svg\.narrow \{ display: none; \}\n@media \(max-width: 45rem\) \{\n {2}svg\.wide \{ display: none; \}/,
  );
});

/** Where each is drawn. */
function frontOf(svg: string): readonly string[] {
  return attributesOf(svg, 'polyline', /front/).flatMap(({ points = '' }) => points.split(' '));
}

test('the dotted line joins the original and what passed, and nothing else', () => {
  for (const state of [STATE, MANY, CROWD]) {
    const svg = plotOf(state, 'first', 'wide');
    const settings = attributesOf(svg, 'circle', /original|passed/).map(({ cx, cy }) => `${cx},${cy}`);
    const front = frontOf(svg);
    expect(front.length).toBeGreaterThan(1);
    for (const place of front) expect(settings).toContain(place);
  }
  const refused = { ...STATE, rows: [at('int8', 'refused', 0.001, 1.3), at('static-head', 'refused', 0.1552, 1.5)] };
  expect(frontOf(plotOf(refused, 'first', 'wide'))).toEqual([]);
  expect(pageOf(STATE)).toContain('The dotted line joins the original and what passed');
});

test('it leaves out what passed but is beaten in both, the original too', () => {
  const beaten = { ...STATE, rows: [at('int8', 'passed', 0.001, 1.3), at('layers2', 'passed', 0.002, 1.2)] };
  expect(frontOf(plotOf(beaten, 'first', 'wide'))).toHaveLength(2);
  const better = { ...STATE, rows: [at('int8', 'passed', -0.001, 1.3), at('layers2', 'passed', 0.002, 1.5)] };
  const svg = plotOf(better, 'first', 'wide');
  const [original] = attributesOf(svg, 'circle', /original/);
  expect(frontOf(svg)).toHaveLength(2);
  expect(frontOf(svg)).not.toContain(`${original?.cx},${original?.cy}`);
});

test('what is beyond the scale is an arrow, with its figure', () => {
  const svg = plotOf(MANY, 'first', 'wide');
  expect(attributesOf(svg, 'polygon', /mark other/)).toHaveLength(2);
  expect(wordsOf(svg).map(({ what }) => what)).toEqual(
    expect.arrayContaining(['static-head: 15.52 %', 'static-all: 25.52 %', 'int4']),
  );
});

test('on the page the verdict stands beside the name, and no figure is broken', () => {
  const page = pageOf(MANY);
  expect(page).toContain('<th scope="col">variant</th><th scope="col">verdict</th>');
  expect(page).toMatch(/<th scope="row">int8<\/th><td>passed<\/td>/);
  for (const figure of ['6.0 MB', '0.12 % (≤ 0.52 %)', '1.42× (1.32 to 1.52)']) {
    expect(page).toContain(`<td><span class="figure">${figure}</span></td>`);
  }
});
