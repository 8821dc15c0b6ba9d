/**
 * docs/architecture.md's paths of a job, of a text, of what is told of a job and of a run of the optimizer, held to the code: every
 * line's file is there and imported by a line above it, or stands behind the interface that the line names; scripts are run by the
 * file on whose line they are.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../support/processes.js';

interface Step {
  /** Paths from the root; several where the line stands for one file per task. */
  readonly files: readonly string[];
  /** What stands between the line and those above it. */
  readonly behind: string | null;
  readonly scripts: readonly string[];
}

/** Files that are no task of their own. */
const NO_TASKS = /\.spec\.ts$|\/(table|pipeline|request|forward|aggregate)\.ts$/;
/** Interfaces between a caller and the next line: each is a place where go-to-definition stops. */
const INTERFACES = ['ModelFace', 'JobStore', 'Engine', 'ModelRunner', 'SessionPort'];

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

const blocks = read('docs/architecture.md').split('```');
const parts = partsOf(blocks[1]!);
const textParts = partsOf(blocks[3]!);
const webhookParts = partsOf(blocks[5]!);
const optimizerParts = partsOf(blocks[7]!);
const everyPart = [...parts, ...textParts, ...webhookParts, ...optimizerParts];
/** The parts whose first line a message of Redis wakes, and whose others its callers know: none is called by another. */
const ANSWERS = [parts[2], textParts[4]];
const steps = everyPart.flat();

/** One list of steps per process or thread that is passed. */
function partsOf(block: string): readonly (readonly Step[])[] {
  const found: Step[][] = [[]];
  let workspace = '';
  for (const line of block.split('\n').slice(1)) {
    if (/── (Redis|thread|process) ──/.test(line)) found.push([]);
    const [, place, file, what] = /^(\S*) +(\S+\.ts) +(.*)$/.exec(line) ?? [];
    if (file === undefined) continue;
    if (place) workspace = place;
    found.at(-1)!.push({
      files: filesOf(`${workspace}/src`, file),
      behind: /^as (\w+):/.exec(what!)?.[1] ?? null,
      scripts: [...what!.matchAll(/lua\/([\w-]+\.lua)/g)].map(([, script]) => script!),
    });
  }
  return found.filter((part) => part.length > 0);
}

function filesOf(folder: string, file: string): string[] {
  if (!file.includes('<task>')) return [`${folder}/${file}`];
  const tasks = file.replace('/<task>.ts', '');
  return readdirSync(join(ROOT, folder, tasks))
    .map((name) => `${folder}/${tasks}/${name}`)
    .filter((path) => !NO_TASKS.test(path));
}

/** Where a file imports `name` from, or undefined: a package's names are followed through its index. */
function importsOf(file: string): { readonly names: ReadonlySet<string>; readonly files: ReadonlySet<string> } {
  const names = new Set<string>();
  const files = new Set<string>();
  for (const [, list, from] of read(file).matchAll(/import (?:type )?\{([^}]*)\} from '([^']+)'/g)) {
    for (const name of namesIn(list!)) {
      names.add(name);
      const target = from!.startsWith('@shoal/') ? exportedFrom(from!, name) : resolve(file, from!);
      if (target) files.add(target);
    }
  }
  return { names, files };
}

function exportedFrom(name: string, wanted: string): string | undefined {
  const index = `libs/${name.slice('@shoal/'.length)}/src/index.ts`;
  if (!existsSync(join(ROOT, index))) return undefined;
  for (const [, list, from] of read(index).matchAll(/export (?:type )?\{([^}]*)\} from '([^']+)'/g)) {
    if (namesIn(list!).includes(wanted)) return resolve(index, from!);
  }
  return undefined;
}

const namesIn = (list: string) =>
  list
    .split(',')
    .map((name) => name.trim().replace(/^type /, ''))
    .filter((name) => name !== '');

const resolve = (file: string, from: string) => join(file, '..', from.replace(/\.js$/, '.ts'));

test('the path begins at the controller and ends at what the caller sees', () => {
  expect(parts.map((part) => [part[0]!.files[0], part.at(-1)!.files[0]])).toEqual([
    ['apps/api/src/jobs/jobs.controller.ts', 'libs/queue/src/replication.ts'],
    ['apps/worker/src/load-model.ts', 'libs/queue/src/settle.ts'],
    ['libs/queue/src/waiters.ts', 'libs/models/src/view.ts'],
  ]);
  expect(textParts.map((part) => [part[0]!.files[0], part.at(-1)!.files[0]])).toEqual([
    ['apps/api/src/openai/chat.controller.ts', 'libs/models/src/text/chat-template.ts'],
    ['apps/worker/src/load-generator.ts', 'libs/generation/src/engine/client.ts'],
    ['libs/generation/src/engine/thread.ts', 'libs/generation/src/engine/events.ts'],
    ['apps/worker/src/generator-engine.ts', 'libs/queue/src/text-log.ts'],
    ['libs/queue/src/waiters.ts', 'libs/intake/src/faces/chat-face.ts'],
  ]);
  expect(webhookParts.map((part) => [part[0]!.files[0], part.at(-1)!.files[0]])).toEqual([
    ['apps/webhooks/src/relay.ts', 'apps/webhooks/src/dispatcher.ts'],
    ['apps/webhooks/src/deliveries.processor.ts', 'libs/webhooks/src/post.ts'],
  ]);
  expect(optimizerParts.map((part) => [part[0]!.files[0], part.at(-1)!.files[0]])).toEqual([
    ['apps/cli/src/optimize-model.ts', 'libs/optimizer/src/report/write-report.ts'],
    ['libs/optimizer/src/trial/trial-process.ts', 'libs/optimizer/src/gate/bound.ts'],
  ]);
});

test('every file of the path is there', () => {
  expect(steps.flatMap(({ files }) => files).filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
});

test('every line is imported by one above it, or stands behind the interface that it names', () => {
  const strangers: string[] = [];
  for (const part of everyPart.filter((part) => !ANSWERS.includes(part))) {
    const above: ReturnType<typeof importsOf>[] = [];
    for (const [n, { files, behind }] of part.entries()) {
      for (const file of files) {
        const known = behind
          ? above.some(({ names }) => names.has(behind)) && (behind === 'SessionPort' || read(file).includes(behind))
          : n === 0 || above.some((imports) => imports.files.has(file));
        if (!known) strangers.push(file);
      }
      above.push(...files.map(importsOf));
    }
  }
  expect(strangers).toEqual([]);
});

test('go-to-definition stops at these interfaces only', () => {
  expect([...new Set(steps.flatMap(({ behind }) => behind ?? []))]).toEqual(INTERFACES);
});

test('scripts are run by the file on whose line they stand', () => {
  const named = steps.flatMap(({ files, scripts }) => scripts.map((script) => [files[0]!, script] as const));
  expect(named.map(([, script]) => script)).toEqual([
    ...['admit.lua', 'claim.lua', 'begin.lua', 'publish.lua', 'read.lua'],
    ...['publish.lua', 'text.lua', 'pieces.lua'],
  ]);
  const missing = named.filter(
    ([file, script]) => !read(file).includes(`('${script}')`) || !existsSync(join(ROOT, 'libs/queue/lua', script)),
  );
  expect(missing).toEqual([]);
});
