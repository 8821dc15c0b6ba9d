/** The report of a run as one page of HTML: no script, nothing from elsewhere, light and dark, also for screen readers. */
import { escaped } from './html-text.js';
import { nextSteps } from './next-steps.js';
import { plotOf } from './plot.js';
import { tableOf } from './table.js';
import { figuresOf, type RunState } from './types.js';
import { basis, figureWords, lossOf, lossWords, OUTCOMES, shapeWords, speedWords, usedWords } from './words.js';

const STYLE = `
:root { color-scheme: light dark; --ink: light-dark(#1b1f24, #e6e8eb); --faint: light-dark(#5c6570, #9aa3ad);
  --line: light-dark(#d8dce1, #3a4048); --paper: light-dark(#ffffff, #15181c); --good: light-dark(#0a6b3d, #5fd39a);
  --other: light-dark(#9a4a00, #f0a35e); --limit: light-dark(#b3261e, #ff8a80); }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 66rem; margin: 2rem auto;
  padding: 0 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; max-width: calc(100vw - 3rem); color: var(--faint); padding-bottom: .4rem; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { vertical-align: bottom; }
.figure { white-space: nowrap; }
tbody th, td:nth-child(3) { overflow-wrap: anywhere; min-width: 9rem; }
.faint { color: var(--faint); }
svg { width: 100%; height: auto; }
svg.narrow { display: none; }
@media (max-width: 45rem) {
  svg.wide { display: none; }
  svg.narrow { display: block; max-width: 30rem; }
}
svg text { font: 13px system-ui, sans-serif; fill: var(--ink); }
svg .tick, svg .axis, svg .note { fill: var(--faint); }
svg .grid { stroke: var(--line); }
svg .limit { stroke: var(--limit); stroke-dasharray: 6 4; }
svg .front { fill: none; stroke: var(--faint); stroke-dasharray: 2 3; }
svg .label, svg .note { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
svg .leader { stroke: var(--faint); }
svg .whisker { stroke-width: 2; }
svg .whisker.passed { stroke: var(--good); }
svg .whisker.other { stroke: var(--other); }
svg .mark.passed { fill: var(--good); }
svg .mark.other { fill: var(--other); }
svg .original { fill: none; stroke: var(--ink); stroke-width: 2; }
`;

const STATES: Readonly<Record<RunState['state'], string>> = {
  running: 'The run goes on; this is what it knows so far.',
  ended: 'The run has ended.',
  stopped: 'The run was stopped; the same command goes on with it.',
};

/** As one text, well-formed as XML, too. */
export function pageOf(state: RunState): string {
  const { model, task, data, allowed, machine, at } = state;
  const counts = [data.calibration, data.choice, data.verdict].map((count) => count.toLocaleString('en'));
  const title = `${model}: faster variants`;
  return [
    '<!DOCTYPE html>',
    '<html lang="en">',
    `<head><meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/>`,
    `<title>${escaped(title)}</title><style>${STYLE}</style></head>`,
    '<body>',
    '<main>',
    `<h1>${escaped(title)}</h1>`,
    `<p>${STATES[state.state]} <span class="faint">${escaped(at)}</span></p>`,
    `<p>${escaped(`Task: ${task}. A loss of ${lossOf(allowed)} is allowed. Measured on ${data.file}: ${counts[0]} ${data.what} to learn from, ${counts[1]} to choose by, ${counts[2]} for the verdict. Machine: ${machine}.`)}</p>`,
    ...[...basis(state), ...usedWords(state.spent)].map((line) => `<p>${escaped(line)}</p>`),
    ...section('Candidates', table(state)),
    ...section('Kept before', keptBefore(state)),
    ...section('Loss against speed', plots(state)),
    ...section('What was not kept, and why', reasons(state)),
    ...section('What to do next', list(nextSteps(state))),
    ...section('All figures', figures(state)),
    '</main>',
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

function section(title: string, content: string): readonly string[] {
  return content === '' ? [] : ['<section>', `<h2>${escaped(title)}</h2>`, content, '</section>'];
}

function table(state: RunState): string {
  const { titles, rows } = tableOf(state);
  const caption = 'Loss: its mean, and its one-sided bound; speeds beside the original, with intervals';
  return tableHtml(caption, verdictSecond(titles), rows.map(verdictSecond));
}

/** On a narrow screen the last columns have to be scrolled to. */
function verdictSecond([first = '', ...others]: readonly string[]): readonly string[] {
  return [first, others.at(-1) ?? '', ...others.slice(0, -1)];
}

/** What earlier commands have kept and this one has not: it is served as well. */
function keptBefore({ rows, before }: RunState): string {
  const anew = rows.filter(({ outcome }) => outcome === 'passed' || outcome === 'forced');
  const names = new Set(anew.map(({ candidate }) => candidate.variant));
  const kept = Object.entries(before).filter(([variant]) => !names.has(variant));
  if (kept.length === 0) return '';
  const cells = kept.map(([variant, { method, loss, speeds, verdict, data, measured }]) => [
    ...[variant, method, `${loss.metric}: ${lossWords(loss)}`],
    ...[speeds.map((speed) => `${shapeWords(speed)}: ${speedWords(speed)}`).join('; '), OUTCOMES[verdict]],
    `${data.file}, ${measured.slice(0, 10)}`,
  ]);
  const titles = ['variant', 'method', 'loss (bound)', 'speed', 'verdict', 'measured by'];
  return tableHtml('As it was measured then, by quality.json', titles, cells);
}

function tableHtml(caption: string, titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = titles.map((title) => `<th scope="col">${escaped(title)}</th>`).join('');
  const body = rows.map(([first = '', ...cells]) => {
    return `<tr><th scope="row">${nameHtml(first)}</th>${cells.map((cell) => `<td>${cellHtml(cell)}</td>`).join('')}</tr>`;
  });
  return [
    `<div class="scroll"><table><caption>${escaped(caption)}</caption>`,
    `<thead><tr>${head}</tr></thead>`,
    `<tbody>${body.join('\n')}</tbody></table></div>`,
  ].join('\n');
}

/** The names of stacks break between their parts. */
function nameHtml(name: string): string {
  return escaped(name).replaceAll('_', '_<wbr/>');
}

/** `6.0 MB`, `0.10 % (≤ 0.40 %)`, `1.52× (1.48 to 1.55)`. */
const FIGURE = /^-?[\d.,]+(?: ?%|×| [kMGT]?B)/;

/** A figure stays on one line; what is said of it after a comma may stand on the next. */
function cellHtml(cell: string): string {
  if (!FIGURE.test(cell)) return escaped(cell);
  return cell
    .split(', ')
    .map((part) => `<span class="figure">${escaped(part)}</span>`)
    .join(', ');
}

/** One text alone, and the largest batch where that is another. */
function plots(state: RunState): string {
  const several = state.rows.some((row) => (figuresOf(row)?.speeds.length ?? 0) > 1);
  const shapes = several ? (['first', 'last'] as const) : (['first'] as const);
  const drawn = shapes
    .flatMap((shape) => [plotOf(state, shape, 'wide'), plotOf(state, shape, 'narrow')])
    .filter((plot) => plot !== '');
  if (drawn.length === 0) return '';
  const note =
    'Circles passed, squares did not (yet); arrows point to what is beyond the scale, whose loss stands beside the name. Lines lead over the interval of the speed, and from the mean loss to its bound. The dotted line joins the original and what passed, as far as nothing else is better in both; there are no settings between them. The dashed line is what is allowed.';
  return [...drawn, `<p class="faint">${note}</p>`].join('\n');
}

function reasons({ rows, impossible }: RunState): string {
  return list([
    ...rows.flatMap(({ candidate, outcome, reason }) => {
      return reason === undefined ? [] : [`${candidate.variant}: ${OUTCOMES[outcome]}: ${reason}.`];
    }),
    ...impossible.map(({ method, why }) => `${method}: ${why}.`),
  ]);
}

function list(lines: readonly string[]): string {
  return lines.length === 0 ? '' : `<ul>${lines.map((line) => `<li>${escaped(line)}</li>`).join('\n')}</ul>`;
}

function figures({ rows }: RunState): string {
  return rows
    .flatMap((row) => {
      const measured = figuresOf(row);
      if (measured === undefined) return [];
      const cells = Object.entries(measured.figures).map(([name, { original, candidate }]) => {
        return [name, original === null ? '' : figureWords(original), figureWords(candidate)];
      });
      const notes = list(row.notes);
      if (cells.length === 0) return [notes];
      return [tableHtml(row.candidate.variant, ['', 'original', row.candidate.variant], cells), notes];
    })
    .filter((part) => part !== '')
    .join('\n');
}
