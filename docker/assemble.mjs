// @ts-check
/**
 * `node docker/assemble.mjs <app> <out>`: what one process of Shoal needs at run time, from a compiled checkout: the packages
 * that it depends on (`<out>/packages`, which change seldom) and our own code (`<out>/app`), with the command line.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';

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

/** Files of packages that are not read at run time: TypeScript's, source maps, tests. */
const UNUSED = /\.[cm]?ts$|\.map$|\/node_modules\/(@[^/]+\/)?[^/]+\/tests?$/;

/** Of our own code: sources, tests and what the compiler keeps for itself. */
const SOURCES = /^(src|node_modules|dist\/testing|tsconfig.*)$|\.spec\.js$|\.ts$|\.map$|\.tsbuildinfo$/;

/** Folders of packages, and links, that were copied, from the root of the checkout. */
const copied = new Set();
copyNeeded(`apps/${app}`);
copyNeeded('apps/cli');
cpSync('package.json', join(out, 'app/package.json'));

/**
 * Copies a package and all that it depends on.
 *
 * @param {string} folder
 */
function copyNeeded(folder) {
  if (copied.has(folder)) return;
  copied.add(folder);
  if (folder.includes('node_modules')) copyPackage(folder);
  else copyOwn(folder);
  for (const { name, optional } of dependenciesOf(folder)) {
    const place = find(name, folder);
    if (place === null && !optional) throw new Error(`${folder} depends on ${name}, which is not installed`);
    if (place === null) continue;
    const target = relative(process.cwd(), realpathSync(place));
    if (target !== place) copyLink(place);
    copyNeeded(target);
  }
}

/**
 * @param {string} folder
 */
function dependenciesOf(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const { dependencies = {}, optionalDependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = manifest;
  const peers = Object.keys(peerDependencies).filter((name) => !peerDependenciesMeta[name]?.optional);
  return [
    ...[...Object.keys(dependencies), ...peers].map((name) => ({ name, optional: name in optionalDependencies })),
    ...Object.keys(optionalDependencies).map((name) => ({ name, optional: true })),
  ];
}

/**
 * Where Node finds a package from a folder.
 *
 * @param {string} name
 * @param {string} folder
 * @returns {string | null}
 */
function find(name, folder) {
  const place = join(folder, 'node_modules', name);
  if (existsSync(place)) return place;
  return folder === '.' ? null : find(name, dirname(folder));
}

/**
 * A package of ours is a link among the others.
 *
 * @param {string} place
 */
function copyLink(place) {
  if (copied.has(place)) return;
  copied.add(place);
  const target = join(out, 'packages', place);
  mkdirSync(dirname(target), { recursive: true });
  symlinkSync(readlinkSync(place), target);
}

/** @param {string} folder */
function copyPackage(folder) {
  cpSync(folder, join(out, 'packages', folder), {
    recursive: true,
    filter: (path) => {
      // Packages within are copied where something needs them.
      if (path.startsWith(`${folder}/node_modules`)) return false;
      const foreign = BINARIES.some(({ file, ours }) => (file.exec(path)?.[1] ?? ours) !== ours);
      return !foreign && !UNUSED.test(`/${path}`);
    },
  });
}

/** @param {string} workspace */
function copyOwn(workspace) {
  const tools = workspace === 'tools' ? importedTools() : null;
  cpSync(workspace, join(out, 'app', workspace), {
    recursive: true,
    filter: (path) => {
      const name = relative(workspace, path);
      return tools === null ? !SOURCES.test(name) : name === '' || tools.has(name);
    },
  });
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
