/** The Grafana dashboard and the alert rules: what they ask Prometheus is PromQL, and is about metrics that there are. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parser } from '@prometheus-io/lezer-promql';
import { DASHBOARD_FILE, dashboard, dashboardText } from '@shoal/tools/dashboard';
import { describe, expect, test } from 'vitest';
import { METRICS } from '../support/metrics.js';
import { ROOT } from '../support/processes.js';

/** Series → its labels. */
const SERIES = new Map(
  METRICS.flatMap(({ name, type, labels }) =>
    (type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']).map(
      (suffix) => [name + suffix, suffix === '_bucket' ? [...labels, 'le'] : labels] as const,
    ),
  ),
);

/** Of Prometheus itself, or put there by whoever scrapes. */
const TARGET_LABELS = ['job', 'instance', 'namespace', 'pod'];
/** Metrics of kube-state-metrics, which alerts may use. */
const FOREIGN = /^kube_/;

/** A query, and where it stands. */
interface Query {
  readonly of: string;
  readonly expr: string;
}

function dashboardQueries(): Query[] {
  const panels = dashboard().panels as readonly { title: string; targets?: readonly { expr: string }[] }[];
  return panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ of: title, expr })));
}

/** The value of each `expr:` of a rule file, on its line or as a block below it. */
function alertQueries(): Query[] {
  const text = readFileSync(join(ROOT, 'k8s/components/observability/alerts.yaml'), 'utf8');
  const rules = text.split(/^ *- alert: /m).slice(1);
  return rules.map((rule) => {
    const [, indent = '', line = ''] = /^( *)expr: (.*)$/m.exec(rule) ?? [];
    const block = new RegExp(`^${indent}expr: \\|-\n((?:${indent} +.*\n)+)`, 'm').exec(rule)?.[1];
    return { of: rule.split('\n', 1)[0]!, expr: block ?? line };
  });
}

interface Parsed {
  readonly faults: readonly string[];
  /** Each series that is read, with the labels that it is chosen by. */
  readonly selectors: readonly { readonly name: string; readonly labels: readonly string[] }[];
  /** Labels of `by`, `on` and `group_left`. */
  readonly grouping: readonly string[];
}

function parsePromQl(expr: string): Parsed {
  // Grafana puts a range in its place.
  const text = expr.replaceAll('$__rate_interval', '5m');
  const faults: string[] = [];
  const selectors: { name: string; labels: string[] }[] = [];
  const grouping: string[] = [];
  let group = false;
  parser.parse(text).iterate({
    enter({ type, from, to, node }) {
      const word = text.slice(from, to);
      if (type.isError) faults.push(`${text.slice(0, from)}⟨here⟩${text.slice(from)}`);
      if (type.name === 'VectorSelector') {
        selectors.push({ name: text.slice(node.firstChild!.from, node.firstChild!.to), labels: [] });
      }
      if (type.name === 'GroupingLabels') group = true;
      if (type.name === 'LabelName') (group ? grouping : selectors.at(-1)!.labels).push(word);
    },
    leave({ type }) {
      if (type.name === 'GroupingLabels') group = false;
    },
  });
  return { faults, selectors, grouping };
}

test('dashboard.json is what tools/dashboard.mjs makes now', () => {
  expect(readFileSync(DASHBOARD_FILE, 'utf8')).toBe(dashboardText());
});

test('panels lie on Grafana’s grid side by side, none over another, each with an id of its own', () => {
  const { panels } = dashboard();
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => {
    expect(x + w).toBeLessThanOrEqual(24);
    return Array.from({ length: w * h }, (_, n) => `${x + (n % w)} ${y + Math.floor(n / w)}`);
  });
  expect(new Set(cells).size).toBe(cells.length);
});

const queries = [...dashboardQueries(), ...alertQueries()];

test('there is something to check', () => {
  expect(dashboardQueries().length).toBeGreaterThan(20);
  expect(alertQueries().length).toBeGreaterThan(5);
  expect(parsePromQl('sum by (le) (rate(x{a="b"[5m]))').faults).not.toEqual([]);
});

describe.each(queries)('$of: $expr', ({ expr }) => {
  const { faults, selectors, grouping } = parsePromQl(expr);

  test('is PromQL', () => expect(faults).toEqual([]));

  test('reads metrics that Shoal has, by labels that they have', () => {
    expect(selectors).not.toEqual([]);
    for (const { name, labels } of selectors.filter((selector) => !FOREIGN.test(selector.name))) {
      expect([...SERIES.keys()]).toContain(name);
      expect([...(SERIES.get(name) ?? []), ...TARGET_LABELS]).toEqual(expect.arrayContaining([...labels]));
    }
    const known = [...TARGET_LABELS, ...selectors.flatMap(({ name }) => [...(SERIES.get(name) ?? [])])];
    // `queue` may be made of other labels by label_replace.
    expect(expr.includes('label_replace') ? [...known, 'queue'] : known).toEqual(expect.arrayContaining([...grouping]));
  });
});
