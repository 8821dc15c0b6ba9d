// @ts-check
/**
 * `node docker/assemble.mjs <app> <out>`: what one process of Shoal needs at run time, from a compiled checkout with the
 * app's production packages: `<out>/packages` (node_modules, which change seldom) and `<out>/app` (our own code).
 */
import { cpSync, existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join, relative } from 'node:path';

const [app = '', out = ''] = process.argv.slice(2);
if (!existsSync(`apps/${app}/dist/main.js`) || out === '') {
  throw new Error('usage: node docker/assemble.mjs <app> <out>, in a compiled checkout; apps: api, worker, webhooks');
}

/** Packages that bring binaries for every platform, and the platform whose files stay. Only workers run models. */
const BINARIES = [
  {
    file: /\/onnxruntime-node\/bin\/napi-v6\/(\w+\/\w+)/,
    ours: app === 'worker' ? `${process.platform}/${process.arch}` : '',
  },
  { file: /\/tokenizers\/tokenizers\.([\w-]+)\.node$/, ours: `${process.platform}-${process.arch}-gnu` },
];

/**
 * Files of packages that are not read at run time: npm's own, TypeScript's, source maps, tests. (TypeScript itself comes as an
 * optional peer of @nestjs/swagger, for a plugin of its compiler.)
 */
const UNUSED = /\/node_modules\/(\.|@?typescript(\/|$))|\.[cm]?ts$|\.map$|\/node_modules\/(@[^/]+\/)?[^/]+\/tests?$/;

/** Of our own code: sources, tests and what the compiler keeps for itself. */
const SOURCES = /^(src|node_modules|dist\/testing|tsconfig.*)$|\.spec\.js$|\.ts$|\.map$|\.tsbuildinfo$/;

for (const workspace of linkedWorkspaces()) {
  copyPackages(`${workspace}/node_modules`);
  if (workspace !== 'tools') copyOwn(workspace, (path) => !SOURCES.test(path));
}
copyPackages('node_modules');
const tools = importedTools();
copyOwn('tools', (path) => path === '' || tools.has(path));
cpSync('package.json', join(out, 'app/package.json'));

/** Folders of our own packages that npm linked for the app and the command line. */
function linkedWorkspaces() {
  const links = readdirSync('node_modules/@shoal').map((name) => `node_modules/@shoal/${name}`);
  return links.map((link) => relative(process.cwd(), realpathSync(link)));
}

/**
 * @param {string} workspace
 * @param {(path: string) => boolean} isWanted of a path in it
 */
function copyOwn(workspace, isWanted) {
  cpSync(workspace, join(out, 'app', workspace), {
    recursive: true,
    filter: (path) => isWanted(relative(workspace, path)),
  });
}

/** @param {string} folder */
function copyPackages(folder) {
  if (!existsSync(folder)) return;
  const filter = (/** @type {string} */ path) => {
    const foreign = BINARIES.some(({ file, ours }) => (file.exec(path)?.[1] ?? ours) !== ours);
    return !foreign && !UNUSED.test(`/${path}`);
  };
  cpSync(folder, join(out, 'packages', folder), { recursive: true, verbatimSymlinks: true, filter });
}

/** Files of tools/ that the command line uses, and those that they use. */
function importedTools() {
  const found = new Set(['package.json']);
  const follow = (/** @type {string} */ file, /** @type {RegExp} */ reference) => {
    for (const [, name] of readFileSync(file, 'utf8').matchAll(reference)) {
      if (found.has(`${name}.mjs`)) continue;
      found.add(`${name}.mjs`);
      follow(`tools/${name}.mjs`, /from '\.\/([\w-]+)\.mjs'/g);
    }
  };
  const cli = readdirSync('apps/cli/dist', { recursive: true, encoding: 'utf8' });
  for (const file of cli.filter((name) => /(?<!\.spec)\.js$/.test(name))) {
    follow(`apps/cli/dist/${file}`, /from '@shoal\/tools\/([\w-]+)'/g);
  }
  return found;
}
