/** docs/observability.md lists every metric, as the code describes it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { METRICS } from '../support/metrics.js';
import { ROOT } from '../support/processes.js';

const cells = (row: string) =>
  row
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());

test('the table of metrics is what the code registers', () => {
  const text = readFileSync(join(ROOT, 'docs/observability.md'), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| `shoal_'));
  const ours = METRICS.filter(({ name }) => name.startsWith('shoal_'));
  expect(rows.map(cells)).toEqual(
    ours.map(({ process, name, type, labels, help }) => [`\`${name}\``, process, type, labels.join(', '), help]),
  );
});
