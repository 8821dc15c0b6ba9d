/**
 * A model of the Hugging Face hub, or of what answers like it. Its revision is pinned to a commit and its files are listed by
 * @huggingface/hub. That client can neither go on with a file, nor does it check one, so the bytes are fetched here: of a
 * large file (LFS) the hub knows its SHA-256, of a small one its git blob.
 */

import { listFiles, modelInfo } from '@huggingface/hub';
import { ShoalError } from '@shoal/contracts';
import { z } from 'zod';
import { type Choice, chooseFiles } from '../choose.js';
import type { PullContext } from '../context.js';
import { unavailable } from '../faults.js';
import { openUrl } from '../http/open-url.js';
import type { HubSource } from '../parse-source.js';
import { isSafePath } from '../safe-path.js';
import type { Digest, Located, SourceFile } from '../source-file.js';
import { explainHub } from './explain.js';
import { bearer, hubFetch } from './hub-fetch.js';

const Commit = z.string().regex(/^[0-9a-f]{40}$/);
const Size = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const Entry = z.object({
  type: z.string(),
  path: z.string(),
  size: Size.optional(),
  oid: z.string().optional(),
  lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: Size }).nullish(),
});

interface HubFile {
  /** In the repository. */
  readonly path: string;
  readonly size: number;
  readonly digest: Digest;
}

/** Text files of a repository: a model's own are a few dozen. */
const MAX_FILES = 50_000;

/** @throws ShoalError `source_unavailable` saying why it cannot be had; the signal's reason */
export async function locateHub(
  source: HubSource,
  pickOnnx: Choice['pickOnnx'],
  context: PullContext,
): Promise<Located> {
  const { commit, files } = await list(source, context);
  const { root, wanted } = split(source.path, files);
  const below = files
    .filter(({ path }) => path.startsWith(root))
    .map((file) => ({ ...file, path: file.path.slice(root.length) }));
  const title = `hf:${source.repo}${source.revision === undefined ? '' : `@${source.revision}`}`;
  const shownRoot = root === '' ? title : `${title}/${root.slice(0, -1)}`;
  const chosen = chooseFiles(below, { source: shownRoot, wanted, pickOnnx });
  const known = new Map(below.map((file) => [file.path, file]));
  return {
    origin: `hf:${source.repo}@${commit}${source.path === undefined ? '' : `/${source.path}`}`,
    name: source.repo.split('/')[1]!,
    place: [new URL(context.hub.endpoint).host.replaceAll(':', '-'), ...source.repo.split('/')],
    files: chosen.paths.map((path) => sourceFile({ ...source, revision: commit }, root, known.get(path)!, context)),
    entry: chosen.entry,
    notes: chosen.notes,
  };
}

async function list(source: HubSource, context: PullContext) {
  const common = { hubUrl: context.hub.endpoint, fetch: hubFetch(source, context) };
  const { repo, revision } = source;
  try {
    const info = await modelInfo({ ...common, name: repo, revision: revision ?? 'main', additionalFields: ['sha'] });
    const commit = Commit.parse(info.sha);
    const files: HubFile[] = [];
    const tree = listFiles({ ...common, repo: { type: 'model', name: repo }, revision: commit, recursive: true });
    for await (const entry of tree) {
      const file = read(entry, repo);
      if (file !== undefined) files.push(file);
      if (files.length > MAX_FILES) throw unavailable(`hf:${repo} has more files than any model has.`);
    }
    return { commit, files };
  } catch (error) {
    context.signal.throwIfAborted();
    if (error instanceof ShoalError) throw error;
    const what = error instanceof z.ZodError ? error.issues[0]?.path.join('.') || 'sha' : 'its form';
    throw unavailable(`hf:${repo}: ${context.hub.endpoint} does not answer as a hub does (${what}).`, error);
  }
}

/** Undefined for what is no file. One name that leads elsewhere is reason enough to take nothing of it. */
function read(entry: unknown, repo: string): HubFile | undefined {
  const { type, path, size, oid, lfs } = Entry.parse(entry);
  if (type !== 'file') return undefined;
  // Files of git itself: .gitattributes, .gitignore.
  if (/^\.[\w-]+$/.test(path)) return undefined;
  if (!isSafePath(path)) {
    if (path.split('/').some((name) => /^\.[\w-]/.test(name)) && !path.includes('..')) return undefined;
    throw unavailable(
      `hf:${repo} lists a file by a path that leads elsewhere (${JSON.stringify(path.slice(0, 200))}): nothing of it is taken.`,
    );
  }
  if (lfs) return { path, size: lfs.size, digest: { algorithm: 'sha256', value: lfs.oid } };
  const value = z
    .string()
    .regex(/^[0-9a-f]{40}$/)
    .parse(oid);
  return { path, size: Size.parse(size), digest: { algorithm: 'git', value } };
}

/** A path of a folder is where to look; of anything else what to take, in its folder. */
function split(path: string | undefined, files: readonly HubFile[]) {
  if (path === undefined) return { root: '', wanted: undefined };
  if (files.some((file) => file.path.startsWith(`${path}/`))) return { root: `${path}/`, wanted: undefined };
  // Graphs in `onnx/` go with what lies beside that folder.
  const slash = /^onnx\/[^/]+$/.test(path) ? -1 : path.lastIndexOf('/');
  return { root: path.slice(0, slash + 1), wanted: path.slice(slash + 1) };
}

function sourceFile(
  source: HubSource,
  root: string,
  { path, size, digest }: HubFile,
  context: PullContext,
): SourceFile {
  const { hub } = context;
  const steps = `${root}${path}`.split('/').map(encodeURIComponent).join('/');
  const url = new URL(`${hub.endpoint}/${source.repo}/resolve/${source.revision}/${steps}`);
  return {
    path,
    size,
    digest,
    validator: undefined,
    version: digest.value,
    title: `hf:${source.repo}/${root}${path}`,
    open: (request) =>
      openUrl({ url, home: url.origin, authorization: bearer(hub) }, request, context, (answer) =>
        explainHub(answer, source, hub),
      ),
  };
}
