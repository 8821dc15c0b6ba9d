/** Tables as lines of Markdown. */

/** Cells may hold anything: what would end a cell or a line does not. */
export function markdownTable(titles: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const lines = [titles, ...rows].map((row) => row.map(cellOf));
  const widths = titles.map((_, n) => Math.max(3, ...lines.map((line) => line[n]?.length ?? 0)));
  const text = (line: readonly string[]) =>
    `| ${widths.map((width, n) => (line[n] ?? '').padEnd(width)).join(' | ')} |`;
  const [head = [], ...rest] = lines;
  return [text(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rest.map(text)];
}

function cellOf(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|');
}
