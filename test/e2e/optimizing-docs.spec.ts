/**
 * Every example of docs/optimizing.md that is of one kind of model runs as it stands, on copies of the models, and brings what the page
 * shows; every other command is one that `shoal` takes; and every line of data is one that is read.
 */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readData, readQuality } from '@shoal/optimizer';
import { afterAll, describe, expect, test } from 'vitest';
import { type Actions, createProgram, runProgram } from '../../apps/cli/dist/program.js';
import { foreignEnvironment, ROOT } from '../support/processes.js';

const PAGE = readFileSync(join(ROOT, 'docs/optimizing.md'), 'utf8');
const CHAPTER = 'One of each kind';

interface Example {
  readonly title: string;
  readonly commands: readonly string[];
  /** What the page says is printed. */
  readonly shown: string;
}

const blocksIn = (text: string, language: string) =>
  [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].flatMap(([, own, code]) => (own === language ? [code!] : []));
const linesOf = (text: string) => text.split('\n').filter((line) => line !== '');

const chapters = PAGE.split(/^## /m);
const chapter = chapters.find((text) => text.startsWith(`${CHAPTER}\n`))!;
const EXAMPLES: readonly Example[] = chapter
  .split(/^### /m)
  .slice(1)
  .map((text) => ({
    title: text.slice(0, text.indexOf('\n')),
    commands: blocksIn(text, 'sh').flatMap(linesOf),
    shown: blocksIn(text, '').join('\n'),
  }));
const LINES = blocksIn(PAGE, 'json').flatMap(linesOf);
const OTHER_COMMANDS = chapters
  .filter((text) => text !== chapter)
  .flatMap((text) => blocksIn(text, 'sh'))
  .flatMap(linesOf)
  .map((line) => line.replace(/ +#.*$/, ''))
  .filter((line) => line.startsWith('npx shoal '));

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** A folder like the repository's, whose models may be changed. */
function cloned(): string {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-optimizing-'));
  folders.push(folder);
  for (const name of ['wordnet-topic', 'wordnet-embed'])
    cpSync(join(ROOT, 'models', name), join(folder, 'models', name), { recursive: true });
  for (const name of ['node_modules', 'test']) symlinkSync(join(ROOT, name), join(folder, name));
  return folder;
}

interface Ended {
  readonly code: number;
  readonly output: string;
}

async function run(command: string, folder: string): Promise<Ended> {
  const places = { SHOAL_MODELS_DIR: join(folder, 'models'), SHOAL_DATA_DIR: join(folder, '.shoal') };
  const options = { cwd: folder, env: { ...foreignEnvironment(), ...places } };
  return await new Promise((resolve) => {
    execFile('bash', ['-euo', 'pipefail', '-c', command], options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), output: `${stdout}${stderr}` }),
    );
  });
}

interface TableRow {
  readonly variant: string;
  readonly verdict: string;
}

/** The rows of the last table of what was printed, below the original's. */
function rowsOf(output: string): readonly TableRow[] {
  const table = output.slice(output.indexOf('\n', output.lastIndexOf('| the original ')));
  return [...table.matchAll(/^\| (\S+) .*\| ([a-z][a-z ]*?) +\|$/gm)].map(([, variant, verdict]) => ({
    variant: variant!,
    verdict: verdict!,
  }));
}

/** What the page shows of the model and of its texts, which is the same on every machine. */
const sameEverywhere = (shown: string) =>
  linesOf(shown).filter((line) => / is allowed\.$| for the verdict\.$|^\S+ beside \S+, by /.test(line));

describe.concurrent(CHAPTER, () => {
  test.each(EXAMPLES.map((example) => [example.title, example] as const))('%s', async (_, { commands, shown }) => {
    const folder = cloned();
    const printed: string[] = [];
    for (const command of commands) {
      const { code, output } = await run(command, folder);
      printed.push(output);
      // How fast it is beside the other tests of this machine is not what is tested.
      const wanted = /^npx shoal evaluate /.test(command) && !/^passed$/m.test(output) ? 2 : 0;
      expect(code, `${command}\n${output}`).toBe(wanted);
    }
    const output = printed.join('\n');
    const same = sameEverywhere(shown);
    expect(same.length).toBeGreaterThanOrEqual(2);
    for (const line of same) expect(output).toContain(line);

    const report = /^The report: (.*)$/m.exec(output)![1]!;
    expect(readFileSync(report, 'utf8')).toContain('The run has ended.');
    const rows = rowsOf(output);
    expect(rows.map(({ variant }) => variant)).toEqual(rowsOf(shown).map(({ variant }) => variant));
    const [, name = ''] = /^(\S+)@1, beside its variant/m.exec(output)!;
    const version = join(folder, 'models', name, '1');
    const quality = await readQuality(version);
    for (const { variant, verdict } of rows) {
      // The last where the machine has too much else to do.
      expect(['passed', 'refused', 'left out']).toContain(verdict);
      const kept = verdict === 'passed';
      expect(existsSync(join(version, 'onnx', `model_${variant}.onnx`)), variant).toBe(kept);
      expect(quality?.variants[variant]?.verdict).toBe(kept ? 'passed' : undefined);
    }
  });
});

test('there is one of each kind', () => {
  expect(EXAMPLES.map(({ title }) => title)).toEqual([
    'A classifier',
    'An embedding model',
    'A classifier of tokens',
    'A reranker',
    'A language model',
  ]);
});

test.each(OTHER_COMMANDS)('%s', async (command) => {
  const asked: unknown[] = [];
  const note = async (request: unknown) => void asked.push(request);
  const actions = new Proxy({} as Actions, { get: () => note });
  await runProgram(createProgram('0', actions), command.split(/\s+/).slice(2));
  expect(asked).toHaveLength(1);
});

test.each(LINES)('a file of such lines is read: %s', (line) => {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-optimizing-'));
  folders.push(folder);
  const file = join(folder, 'data.jsonl');
  // Behind texts, so that places in them stay.
  const other = (n: number) => line.replace(/("(?:text|query|document|label)": "(?:[^"\\]|\\.)*)"/g, `$1 ${n}"`);
  writeFileSync(file, Array.from({ length: 200 }, (_, n) => other(n)).join('\n'));
  const { calibration, choice, verdict } = readData(file);
  expect(calibration.items.length + choice.items.length + verdict.items.length).toBe(200);
});
