/** What a source is called on the command line. */
import { resolve } from 'node:path';
import { unavailable } from './faults.js';
import { checkUrl } from './http/destination.js';
import { shown } from './http/shown.js';
import { isSafePath } from './safe-path.js';

export interface HubSource {
  readonly kind: 'hub';
  /** `org/name` */
  readonly repo: string;
  /** A branch, a tag, a commit, `refs/pr/1`; undefined: the main branch. */
  readonly revision: string | undefined;
  /** A file, a folder, or the name of a quantisation. */
  readonly path: string | undefined;
}

export interface UrlSource {
  readonly kind: 'url';
  readonly url: URL;
}

export interface S3Source {
  readonly kind: 's3';
  readonly bucket: string;
  /** Of a folder, or the key of a file; may be empty. */
  readonly prefix: string;
}

export interface FolderSource {
  readonly kind: 'folder';
  /** Absolute; of a folder or a file. */
  readonly path: string;
  /** As it was given, where that could be a name of the hub. */
  readonly hubName: string | undefined;
}

export type Source = HubSource | UrlSource | S3Source | FolderSource;

/** No part begins with a dot: it would lead elsewhere, here and in a URL. */
const HUB =
  /^(?<repo>\w[\w.-]{0,95}\/\w[\w.-]{0,95})(?:@(?<revision>refs\/\w[\w.-]*\/\w[\w.-]*|\w[\w.-]{0,200}))?(?:\/(?<path>.+))?$/;
/** As a hub's pages have it: `/org/name`, `/org/name/blob/main/file`. */
const PAGE =
  /^\/(?<repo>\w[\w.-]{0,95}\/\w[\w.-]{0,95})(?:\/(?:tree|blob|resolve)\/(?<revision>refs\/\w[\w.-]*\/\w[\w.-]*|\w[\w.-]*)(?:\/(?<path>.+))?)?\/?$/;
/** The hub that is meant where none is named, also by its short name. */
const HUGGING_FACE: readonly string[] = ['huggingface.co', 'www.huggingface.co', 'hf.co'];
/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/**
 * `hubEndpoint` is the hub's URL: its pages are sources as well.
 *
 * @throws ShoalError `source_unavailable` where it is none
 */
export function parseSource(text: string, hubEndpoint: string): Source {
  if (text.startsWith('hf:')) return parseHub(text);
  if (text.startsWith('s3://')) return parseS3(text);
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(text)) return parseUrl(text, hubEndpoint);
  const [, scheme] = /^([a-z][a-z0-9+]+):(?!\\)/i.exec(text) ?? [];
  if (scheme !== undefined) {
    throw unavailable(
      `${scheme}: is no kind of source: name a folder, a .gguf or .onnx file, an https:// or s3:// URL, or hf:org/name.`,
    );
  }
  return { kind: 'folder', path: resolve(text), hubName: HUB.test(text) ? text : undefined };
}

function parseHub(text: string): HubSource {
  const { repo, revision, path } = HUB.exec(text.slice('hf:'.length))?.groups ?? {};
  if (repo === undefined)
    throw unavailable(`${JSON.stringify(text)} is not hf:org/name, hf:org/name@revision or either with /file.`);
  return { kind: 'hub', repo, revision, path: pathOf(path, text) };
}

function parseS3(text: string): S3Source {
  const [bucket = '', ...rest] = text.slice('s3://'.length).split('/');
  if (!BUCKET.test(bucket)) throw unavailable(`${JSON.stringify(text)} is not s3://bucket/prefix.`);
  return { kind: 's3', bucket, prefix: rest.join('/').replace(/\/+$/, '') };
}

function parseUrl(text: string, hubEndpoint: string): HubSource | UrlSource {
  // Not shown: what is wrong with it may be its password.
  if (!URL.canParse(text)) throw unavailable('the source is no URL that can be read.');
  const url = new URL(text);
  checkUrl(url);
  url.hash = '';
  const hub = new URL(hubEndpoint);
  const isHuggingFace = HUGGING_FACE.includes(url.hostname);
  const isHub = url.origin === hub.origin || (isHuggingFace && HUGGING_FACE.includes(hub.hostname));
  if ((isHub || isHuggingFace) && url.search === '') {
    const { repo, revision, path } = PAGE.exec(decoded(url))?.groups ?? {};
    if (repo !== undefined && isHub) return { kind: 'hub', repo, revision, path: pathOf(path, text) };
    // A link to a file leads there, whatever the hub is.
    if (repo !== undefined && !url.pathname.includes('/resolve/')) {
      throw unavailable(
        `${shown(url)} is a page of another hub than HF_ENDPOINT (${hub.origin}): name hf:${repo} to have it from there, or unset HF_ENDPOINT.`,
      );
    }
  }
  return { kind: 'url', url };
}

function decoded(url: URL): string {
  try {
    return decodeURI(url.pathname);
  } catch (error) {
    throw unavailable(`${shown(url)} has a % that stands for no character: write it as %25.`, error);
  }
}

function pathOf(path: string | undefined, text: string): string | undefined {
  const trimmed = path?.replace(/\/+$/, '');
  if (trimmed === undefined || trimmed === '') return undefined;
  if (isSafePath(trimmed)) return trimmed;
  throw unavailable(`${JSON.stringify(text)} names a file by a path that leads elsewhere.`);
}
