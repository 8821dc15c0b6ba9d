/** The API of a running server as commands call it: where it is, with whose key, and one clear line for whatever is wrong. */
import { readFileSync } from 'node:fs';
import { UserError } from '@shoal/tools/user-error';
import type { Config } from './config.js';
import { ApiAway, type Call, detailOf, PatientApi, type Reply } from './patient-api.js';
import { printable } from './printable.js';
import { addressOf } from './processes.js';

/** Which server a command is for, beside what the environment says. */
export interface ServerOptions {
  /** Without user and password. */
  readonly url?: string | undefined;
  /** Of the key. */
  readonly keyFile?: string | undefined;
}

type Settings = Pick<Config, 'SHOAL_HOST' | 'PORT' | 'SHOAL_API_KEYS' | 'SHOAL_ADMINS' | 'SHOAL_URL' | 'SHOAL_KEY'>;

/** Longest key that a file may hold, in characters: what is longer is another file. */
const MAX_KEY = 4096;

export interface Asked extends Call {
  /** Statuses that are answers; the others are thrown. Left out: all that tell of success. */
  readonly good?: readonly number[];
  /** Left out: it is waited for as `patience` and `withinMs` say. */
  readonly signal?: AbortSignal;
}

interface Place {
  readonly api: PatientApi;
  /** Where the key is from; undefined: there is none. */
  readonly key: string | undefined;
  /** The API of this machine, which nobody has named. */
  readonly local: boolean;
}

export class Server {
  readonly #place: Place;

  constructor(place: Place) {
    this.#place = place;
  }

  get url(): string {
    return this.#place.api.url;
  }

  /** @throws UserError with what is wrong in one line, ApiAway where nobody answers and that is not waited for */
  async ask(method: 'GET' | 'POST' | 'DELETE', path: string, asked: Asked = {}): Promise<Reply> {
    const { good, signal = new AbortController().signal, ...call } = asked;
    const reply = await this.#place.api.call(method, path, signal, call).catch((error: unknown) => {
      if (!(error instanceof ApiAway) || !this.#place.local) throw error;
      throw new ApiAway(
        `no API answers on ${this.url}: "npm start" starts it; where it is elsewhere, ${this.#advice}.`,
      );
    });
    const { status } = reply;
    if (!(good?.includes(status) ?? (status >= 200 && status < 300))) throw this.refusal(reply);
    if (status !== 204 && reply.stream === undefined && !isObject(reply.body)) throw this.#foreign(reply);
    return reply;
  }

  /** What the answer says is wrong. */
  refusal(reply: Reply): UserError {
    const detail = detailOf(reply.body);
    if (detail === undefined) return this.#foreign(reply);
    const { key } = this.#place;
    if (reply.status === 401 && key === undefined) {
      return new UserError(`${this.url} wants an API key: set SHOAL_KEY, or name a file that holds it by --key-file.`);
    }
    if (reply.status === 401) return new UserError(`${this.url} does not know the key that is in ${key}.`);
    // Its words are for callers over HTTP.
    return new UserError(`${detail.replace('GET /v1/models lists', '"npx shoal models ls" lists')}.`);
  }

  /** What to do where it is another one. */
  get #advice(): string {
    if (!this.#place.local) return 'name its address by --url or SHOAL_URL';
    return 'put PORT=<port> before the command, and SHOAL_HOST=<address>, or SHOAL_URL=<its URL>';
  }

  #foreign({ status }: Reply): ApiAway {
    return new ApiAway(`what answers on ${this.url} is no API of Shoal (status ${status}): ${this.#advice}.`);
  }
}

/** The server that the flags name, else the environment, else this machine's. @throws UserError where the key cannot be read */
export function openServer(settings: Settings, options: ServerOptions = {}, say?: (line: string) => void): Server {
  const named = options.url ?? settings.SHOAL_URL;
  const own = keyOf(settings, options, named === undefined);
  const address = named ?? addressOf(settings);
  const api = new PatientApi(address, own?.key, {
    ...(say && { say: (line: string) => say(printable(line)) }),
    resumes: false,
  });
  return new Server({ api, key: own?.from, local: named === undefined });
}

/** The API of this machine, whatever else is named. */
export function localServer(settings: Settings): Server {
  return openServer({ ...settings, SHOAL_URL: undefined, SHOAL_KEY: undefined });
}

/** Keys of this machine's API are for nobody else. */
function keyOf(settings: Settings, { keyFile }: ServerOptions, local: boolean) {
  if (keyFile !== undefined) return { key: readKey(keyFile), from: keyFile };
  if (settings.SHOAL_KEY !== undefined) return { key: settings.SHOAL_KEY, from: 'SHOAL_KEY' };
  const key = local ? configuredKey(settings) : undefined;
  return key === undefined ? undefined : { key, from: 'SHOAL_API_KEYS' };
}

function readKey(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new UserError(`--key-file ${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
  // What is wrong with it is not shown: it may be a key.
  if (/^[\x21-\x7e]+$/.test(text) && text.length <= MAX_KEY) return text;
  throw new UserError(`--key-file ${path} has to hold one key, of printable ASCII characters without spaces.`);
}

/** Of entries `tenant:key` or `tenant:key:weight` that of a tenant who may administer, else the first; undefined: none are needed. */
function configuredKey({ SHOAL_API_KEYS: keys = '', SHOAL_ADMINS: admins = '' }: Settings): string | undefined {
  const entries = keys.split(/[,\n]/).map((entry) => entry.trim().split(':'));
  const usable = entries.filter(([tenant, key]) => tenant !== '' && !tenant!.startsWith('#') && key !== undefined);
  const names = admins.split(',').map((name) => name.trim());
  return (usable.find(([tenant]) => names.includes(tenant!)) ?? usable[0])?.[1];
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
