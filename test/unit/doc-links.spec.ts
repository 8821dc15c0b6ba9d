/** Links of the documentation lead somewhere: to files that are there, and to headings that these have. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../support/processes.js';

const LINK = /\[[^\]]*\]\(([^)\s]+)\)/g;
const PAGES = ['README.md', 'models/README.md', ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`)];

/** As GitHub calls a heading in an address. */
function anchorOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
}

/** Without what only looks like a link or a heading. */
function textOf(path: string): string {
  return readFileSync(path, 'utf8').replaceAll(/^ *```[\s\S]*?^ *```/gm, '');
}

test.each(PAGES.filter((name) => name.endsWith('.md')))('%s', (page) => {
  const path = join(ROOT, page);
  const broken = [...textOf(path).matchAll(LINK)].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [file = '', anchor] = target.split('#');
    const to = file === '' ? path : resolve(dirname(path), file);
    if (!existsSync(to)) return [target];
    if (anchor === undefined || !to.endsWith('.md')) return [];
    const headings = [...textOf(to).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading));
    return headings.includes(anchor) ? [] : [`${target}: no heading of ${relative(ROOT, to)}`];
  });
  expect(broken).toEqual([]);
});
