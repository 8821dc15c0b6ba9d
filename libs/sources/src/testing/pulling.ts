/** Pulls into a folder of its own, whose pauses take no time, and notes what was said. */
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { AllowList } from '@shoal/network';
import { afterEach, beforeEach } from 'vitest';
import type { PullContext, PullProgress } from '../context.js';
import { type Pulled, type PullRequest, pull } from '../pull.js';

export interface Bench {
  /** Everything lies in it. */
  folder: string;
  readonly said: string[];
  readonly pauses: number[];
  readonly progress: PullProgress[];
}

export type Settings = Partial<Omit<PullContext, 'patience'>> & Partial<PullContext['patience']>;

/** Call at the top of a spec. */
export function openBench() {
  const bench: Bench = { folder: '', said: [], pauses: [], progress: [] };
  beforeEach(() => {
    bench.folder = mkdtempSync(join(tmpdir(), 'shoal-pull-'));
    for (const log of [bench.said, bench.pauses, bench.progress]) log.length = 0;
  });
  afterEach(() => rmSync(bench.folder, { recursive: true }));

  const contextOf = ({ headMs = 5000, stallMs = 5000, stallBytes = 1, sleep, ...own }: Settings): PullContext => ({
    say: (line) => void bench.said.push(line),
    onProgress: (progress) => void bench.progress.push(progress),
    signal: new AbortController().signal,
    allow: new AllowList([]),
    hub: { endpoint: 'http://127.0.0.1:1', token: undefined },
    s3: { endpoint: undefined, region: undefined },
    patience: { headMs, stallMs, stallBytes, sleep: sleep ?? (async (ms) => void bench.pauses.push(ms)) },
    ...own,
  });
  const pullIt = (source: string, settings: Settings = {}, request: Partial<PullRequest> = {}): Promise<Pulled> => {
    const wanted = { to: undefined, downloads: join(bench.folder, 'pulled'), maxBytes: 1e9, sha256: undefined };
    return pull({ source, pickOnnx: undefined, ...wanted, ...request }, contextOf(settings));
  };
  /** The message of what it is refused with. */
  const refusal = async (
    source: string,
    settings: Settings = {},
    request: Partial<PullRequest> = {},
  ): Promise<string> => {
    const error = await pullIt(source, settings, request).then(
      () => new Error('it was pulled'),
      (thrown: Error) => thrown,
    );
    return error.name === 'ShoalError' ? error.message : `not in words: ${error.stack}`;
  };
  return { bench, pullIt, refusal };
}

/** Path → contents of all files below `folder`, hidden ones too; a link is one of `->`. */
export function filesBelow(folder: string): Readonly<Record<string, string>> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  const files: Record<string, string> = {};
  for (const name of names) {
    const path = join(folder, name);
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) files[relative(folder, path)] = '->';
    else if (stat.isFile()) files[relative(folder, path)] = readFileSync(path, 'latin1');
  }
  return files;
}
