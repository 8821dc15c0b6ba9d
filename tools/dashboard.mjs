// @ts-check
/** `node tools/dashboard.mjs`: writes the Grafana dashboard, made from the panels in dashboard-panels.mjs. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readArguments } from './arguments.mjs';
import { SECTIONS } from './dashboard-panels.mjs';
import { ROOT } from './root.mjs';
import { runCommand } from './user-error.mjs';

/** @typedef {import('./dashboard-panels.mjs').Panel} Panel */

export const DASHBOARD_FILE = join(ROOT, 'k8s/components/observability/dashboard.json');

/** Grafana's grid: 24 columns; a row of height 1 is 30 pixels. */
const COLUMNS = 24;
const PANEL_HEIGHT = 8;
const DATASOURCE = { type: 'prometheus', uid: '$datasource' };

/** @typedef {{ x: number, y: number, w: number, h: number }} GridPos */

/**
 * Panels of a section side by side: three or four to a row.
 *
 * @param {number} count
 */
function perRow(count) {
  return count % 4 === 0 ? 4 : 3;
}

/** Rows (section titles) and panels, in order, with their places. */
function layOut() {
  let y = 0;
  let id = 0;
  return SECTIONS.flatMap(({ title, panels }) => {
    const row = {
      id: ++id,
      type: /** @type {const} */ ('row'),
      title,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
    };
    y += 1;
    const width = COLUMNS / perRow(panels.length);
    const placed = panels.map((panel, n) => {
      const line = Math.floor(n / perRow(panels.length));
      const x = (n % perRow(panels.length)) * width;
      return timeSeries(++id, panel, { x, y: y + line * PANEL_HEIGHT, w: width, h: PANEL_HEIGHT });
    });
    y += Math.ceil(panels.length / perRow(panels.length)) * PANEL_HEIGHT;
    return [row, ...placed];
  });
}

/**
 * @param {number} id
 * @param {Panel} panel
 * @param {GridPos} gridPos
 */
function timeSeries(id, { title, about, unit, targets, stacked = false, max }, gridPos) {
  return {
    id,
    type: /** @type {const} */ ('timeseries'),
    title,
    description: about,
    datasource: DATASOURCE,
    gridPos,
    targets: targets.map(({ expr, legend }, n) => ({
      refId: String.fromCharCode(65 + n),
      datasource: DATASOURCE,
      editorMode: 'code',
      expr,
      legendFormat: legend,
      range: true,
    })),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        ...(max !== undefined && { max }),
        color: { mode: 'palette-classic' },
        custom: {
          drawStyle: 'line',
          lineWidth: 1,
          fillOpacity: stacked ? 40 : 0,
          showPoints: 'never',
          spanNulls: false,
          stacking: { mode: stacked ? 'normal' : 'none', group: 'A' },
        },
      },
      overrides: [],
    },
    options: {
      legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
  };
}

/** The dashboard as Grafana 11 and 12 import or provision it. */
export function dashboard() {
  return {
    uid: 'shoal',
    title: 'Shoal',
    description: 'Requests, queue, workers, Redis and webhooks. Made by tools/dashboard.mjs.',
    tags: ['shoal'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    timezone: 'browser',
    annotations: { list: [] },
    links: [],
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', label: 'Data source', query: 'prometheus', current: {}, hide: 0 },
        {
          name: 'model',
          type: 'query',
          label: 'Model',
          datasource: DATASOURCE,
          definition: 'label_values(shoal_model_info, model)',
          query: {
            qryType: 1,
            query: 'label_values(shoal_model_info, model)',
            refId: 'PrometheusVariableQueryEditor-VariableQuery',
          },
          refresh: 2,
          sort: 1,
          multi: true,
          includeAll: true,
          allValue: '.+',
          current: { text: ['All'], value: ['$__all'] },
          hide: 0,
        },
      ],
    },
    panels: layOut(),
  };
}

export function dashboardText() {
  return `${JSON.stringify(dashboard(), null, 2)}\n`;
}

const HELP = `Writes the Grafana dashboard, made from the panels in tools/dashboard-panels.mjs.

npm run dashboard`;

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await runCommand(async () => {
    if (readArguments(HELP, {}) === null) return 0;
    mkdirSync(dirname(DASHBOARD_FILE), { recursive: true });
    writeFileSync(DASHBOARD_FILE, dashboardText());
    return 0;
  });
}
