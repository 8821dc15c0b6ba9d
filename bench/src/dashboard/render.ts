/** Draws the dashboard's panels as Grafana lays them out: charts as SVG in one page, which a headless browser photographs. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { dashboard } from '@shoal/tools/dashboard';
import { type EChartsOption, init } from 'echarts';
import type { Series } from './prometheus.js';

/** Pixels of the page, of one column and one row of Grafana's grid. */
const WIDTH = 1680;
const COLUMN = WIDTH / 24;
const ROW = 27;
const GAP = 8;
const TITLE = 28;
const LEGEND = 34;

const COLORS = [
  '#73bf69',
  '#f2cc0c',
  '#5794f2',
  '#ff9830',
  '#f2495c',
  '#b877d9',
  '#8ab8ff',
  '#ffb357',
  '#37872d',
  '#ca95e5',
];
const TEXT = '#c7d0d9';
const LINES = '#2c3235';

export interface DrawnSeries extends Series {
  readonly name: string;
}

type PanelJson = ReturnType<typeof dashboard>['panels'][number];
export type ChartPanel = Extract<PanelJson, { type: 'timeseries' }>;

export function isChart(panel: PanelJson): panel is ChartPanel {
  return panel.type === 'timeseries';
}

/** Writes the picture to `file` (PNG). `seriesOf` has what each chart shows. */
export async function drawDashboard(
  file: string,
  caption: string,
  seriesOf: ReadonlyMap<number, readonly DrawnSeries[]>,
) {
  const { panels } = dashboard();
  const height = TITLE + GAP + ROW * Math.max(...panels.map(({ gridPos: { y, h } }) => y + h));
  const boxes = panels.map((panel) => {
    const { x, y, w, h } = panel.gridPos;
    const place = `left:${x * COLUMN}px;top:${TITLE + GAP + y * ROW}px;width:${w * COLUMN - GAP}px;height:${h * ROW - GAP}px`;
    if (!isChart(panel)) return `<h2 style="${place}">${escapeHtml(panel.title)}</h2>`;
    return `<section style="${place}">${chartOf(panel, seriesOf.get(panel.id) ?? [])}</section>`;
  });
  const page = `<!doctype html><meta charset="utf-8"><style>${STYLE}</style><body><h1>${escapeHtml(caption)}</h1>${boxes.join('')}</body>`;
  const dir = await mkdtemp(join(tmpdir(), 'shoal-picture-'));
  try {
    await writeFile(join(dir, 'page.html'), page);
    const flags = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--hide-scrollbars',
      `--user-data-dir=${join(dir, 'profile')}`,
    ];
    const size = `--window-size=${WIDTH + 2 * GAP},${Math.ceil(height + GAP)}`;
    await promisify(execFile)('chromium', [...flags, size, `--screenshot=${file}`, `file://${join(dir, 'page.html')}`]);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const STYLE = `
  body { margin: 0; background: #111217; color: ${TEXT}; font: 12px "DejaVu Sans", sans-serif; position: relative; left: ${GAP}px }
  h1 { position: absolute; margin: 8px 0 0; font-size: 14px; font-weight: normal }
  h2 { position: absolute; margin: 0; font-size: 13px; line-height: ${ROW}px }
  section { position: absolute; background: #181b1f; border: 1px solid ${LINES}; border-radius: 3px; box-sizing: border-box; overflow: hidden }
  h3 { margin: 0; padding: 0 10px; font-size: 12px; line-height: ${TITLE}px; font-weight: 600 }
  ul { margin: 0; padding: 0 10px; height: ${LEGEND}px; list-style: none; overflow: hidden; line-height: 15px; font-size: 11px }
  li { display: inline-block; margin-right: 12px; white-space: nowrap }
  li i { display: inline-block; width: 12px; height: 3px; margin-right: 5px; vertical-align: 3px }
  p { margin: 0; text-align: center; color: #8e8e8e; line-height: 120px }`;

function chartOf({ title, gridPos, fieldConfig }: ChartPanel, series: readonly DrawnSeries[]): string {
  const heading = `<h3>${escapeHtml(title)}</h3>`;
  const drawn = series.filter(({ points }) => points.some(([, value]) => value !== null));
  if (drawn.length === 0) return `${heading}<p>nothing of this kind happened in this run</p>`;
  const { unit, custom, max } = fieldConfig.defaults as {
    unit: string;
    max?: number;
    custom: { stacking: { mode: string } };
  };
  const stacked = custom.stacking.mode === 'normal';
  const chart = init(null, null, {
    renderer: 'svg',
    ssr: true,
    width: gridPos.w * COLUMN - GAP - 2,
    height: gridPos.h * ROW - GAP - 2 - TITLE - LEGEND,
  });
  chart.setOption(optionsOf(drawn, unit, stacked, max));
  const svg = chart.renderToSVGString();
  chart.dispose();
  const legend = drawn.map(({ name }, n) => `<li><i style="background:${colorOf(n)}"></i>${escapeHtml(name)}</li>`);
  return `${heading}${svg}<ul>${legend.join('')}</ul>`;
}

function optionsOf(
  series: readonly DrawnSeries[],
  unit: string,
  stacked: boolean,
  max: number | undefined,
): EChartsOption {
  const axis = { axisLabel: { color: TEXT, fontSize: 10 }, axisLine: { show: false }, axisTick: { show: false } };
  return {
    animation: false,
    backgroundColor: 'transparent',
    grid: { left: 58, right: 12, top: 8, bottom: 22 },
    xAxis: { ...axis, type: 'time', splitNumber: 4, splitLine: { show: true, lineStyle: { color: LINES } } },
    yAxis: {
      ...axis,
      axisLabel: { ...axis.axisLabel, formatter: (value: number) => format(value, unit) },
      type: 'value',
      min: 0,
      ...(max !== undefined && { max }),
      splitNumber: 4,
      splitLine: { lineStyle: { color: LINES } },
    },
    series: series.map(({ name, points }, n) => ({
      name,
      type: 'line',
      data: points.map(([at, value]) => [at, scaled(stacked ? (value ?? 0) : value, unit)]),
      showSymbol: false,
      lineStyle: { width: 1.3 },
      itemStyle: { color: colorOf(n) },
      ...(stacked && { stack: 'all', areaStyle: { opacity: 0.45 } }),
    })),
  };
}

function colorOf(n: number): string {
  return COLORS[n % COLORS.length]!;
}

/** Bytes are drawn in MiB, so that the axis has round numbers. */
function scaled(value: number | null, unit: string): number | null {
  return value !== null && unit === 'bytes' ? value / 1024 ** 2 : value;
}

/** A value of the axis as Grafana shows it in this unit. */
function format(value: number, unit: string): string {
  if (unit === 's') return value >= 1 || value === 0 ? `${round(value)} s` : `${round(value * 1000)} ms`;
  if (unit === 'bytes') return `${round(value)} MiB`;
  if (unit === 'percentunit') return `${round(value * 100)} %`;
  if (unit === 'reqps' || unit === 'ops') return `${short(value)}/s`;
  return short(value);
}

function short(value: number): string {
  return value >= 1000 ? `${round(value / 1000)} k` : round(value);
}

function round(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
