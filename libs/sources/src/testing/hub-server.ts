/**
 * A server with the shape of the Hugging Face hub: the revision of a model, its list of files in pages, and files, the large
 * ones (LFS) behind a redirect. https://huggingface.co/docs/hub/api
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type LocalServer, listen } from './listen.js';
import { serveBytes } from './serve-bytes.js';

export interface HubModel {
  /** `org/name` */
  readonly repo: string;
  /** Path → contents. */
  readonly files: Readonly<Record<string, Buffer>>;
  /** Beside `main` and the commit itself. */
  readonly revisions?: readonly string[];
  /** Without it, 401. */
  readonly token?: string;
  readonly gated?: boolean;
}

export interface HubOptions {
  /** Files on a page of a list. */
  readonly pageSize?: number;
  /** Where large files are redirected to; the hub itself where left out. */
  readonly files?: string;
}

export interface HubServer extends LocalServer {
  readonly commitOf: (repo: string) => string;
}

/** What is in LFS on the hub, by the .gitattributes that it gives to every model. */
const LARGE = /\.(safetensors|gguf|onnx|onnx_data|bin|model)$/;

export async function startHub(models: readonly HubModel[], options: HubOptions = {}): Promise<HubServer> {
  const commits = new Map(models.map((model) => [model.repo, commitOf(model)]));
  const server = await listen((request, response) =>
    answer({ models, commits, options, url: server.url }, request, response),
  );
  return Object.assign(server, { commitOf: (repo: string) => commits.get(repo)! });
}

interface Hub {
  readonly models: readonly HubModel[];
  readonly commits: ReadonlyMap<string, string>;
  readonly options: HubOptions;
  readonly url: string;
}

function answer(hub: Hub, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? '', hub.url);
  const refuse = (status: number, code: string) =>
    response.writeHead(status, { 'x-error-code': code, 'content-type': 'application/json' }).end('{"error":"no"}');
  const blob = /^\/blobs\/([0-9a-f]{64})$/.exec(pathname)?.[1];
  if (blob !== undefined) {
    const bytes = hub.models.flatMap(({ files }) => Object.values(files)).find((file) => sha256(file) === blob);
    if (bytes === undefined) return void refuse(404, 'EntryNotFound');
    return void serveBytes(request, response, { bytes, etag: `"${blob.slice(0, 32)}"` });
  }
  const api = /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/([^/]+)$/.exec(pathname);
  const file = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(pathname);
  const [repo, revision] = [api?.[1] ?? file?.[1], decodeURIComponent(api?.[3] ?? file?.[2] ?? '')];
  const model = hub.models.find((candidate) => candidate.repo === repo);
  if (model === undefined) return void refuse(401, 'RepoNotFound');
  const has = model.token === undefined || request.headers.authorization === `Bearer ${model.token}`;
  if (!has) return void (model.gated ? refuse(403, 'GatedRepo') : refuse(401, 'RepoNotFound'));
  const commit = hub.commits.get(model.repo)!;
  if (![commit, 'main', ...(model.revisions ?? [])].includes(revision)) return void refuse(404, 'RevisionNotFound');
  if (api?.[2] === 'revision') return void sendJson(response, infoOf(model, commit));
  if (api !== null) return void sendPage(hub, model, commit, Number(searchParams.get('cursor') ?? 0), response);
  const path = decodeURIComponent(file![3]!);
  const bytes = model.files[path];
  if (bytes === undefined) return void refuse(404, 'EntryNotFound');
  if (!LARGE.test(path)) return void serveBytes(request, response, { bytes, etag: `"${gitBlob(bytes)}"` });
  const oid = sha256(bytes);
  const location = `${hub.options.files ?? hub.url}/blobs/${oid}`;
  response.writeHead(302, {
    location,
    'x-linked-etag': `"${oid}"`,
    'x-linked-size': bytes.length,
    'x-repo-commit': commit,
  });
  response.end();
}

function infoOf({ repo }: HubModel, sha: string): unknown {
  const dates = { lastModified: '2026-01-01T00:00:00.000Z', createdAt: '2026-01-01T00:00:00.000Z' };
  return {
    _id: 'a'.repeat(24),
    id: repo,
    modelId: repo,
    sha,
    private: false,
    gated: false,
    downloads: 0,
    likes: 0,
    ...dates,
  };
}

function sendPage(
  { options, url }: Hub,
  model: HubModel,
  commit: string,
  from: number,
  response: ServerResponse,
): void {
  const { pageSize = 1000 } = options;
  const entries = Object.entries(model.files);
  const to = from + pageSize;
  const next = `<${url}/api/models/${model.repo}/tree/${commit}?recursive=true&expand=false&cursor=${to}>; rel="next"`;
  sendJson(
    response,
    entries.slice(from, to).map(([path, bytes]) => entryOf(path, bytes)),
    to < entries.length ? { link: next } : {},
  );
}

function entryOf(path: string, bytes: Buffer): unknown {
  const common = { type: 'file', path, size: bytes.length };
  if (!LARGE.test(path)) return { ...common, oid: gitBlob(bytes) };
  return {
    ...common,
    oid: gitBlob(Buffer.from(path)),
    lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 },
  };
}

function sendJson(response: ServerResponse, value: unknown, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

/** Made of the contents, as git makes it. */
function commitOf({ repo, files }: HubModel): string {
  const hash = createHash('sha1').update(repo);
  for (const [path, bytes] of Object.entries(files)) hash.update(path).update(bytes);
  return hash.digest('hex');
}

function gitBlob(bytes: Buffer): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
