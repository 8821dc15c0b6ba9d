/** Calls of the API that runs on this machine, with a key of its configuration. */
import { UserError } from '@shoal/tools/user-error';
import type { Config } from './config.js';
import { addressOf } from './processes.js';

const ELSEWHERE = 'put PORT=<port> before the command, and SHOAL_HOST=<address>';

type Settings = Pick<Config, 'SHOAL_HOST' | 'PORT' | 'SHOAL_API_KEYS' | 'SHOAL_ADMINS'>;

/** Thrown where nobody listens, or something else does. */
export class ApiAway extends UserError {}

/** What it answers. @throws UserError with what it says is wrong, ApiAway where it does not run */
export async function callApi(config: Settings, method: 'GET' | 'POST', path: string): Promise<unknown> {
  const address = addressOf(config);
  const key = keyOf(config);
  const response = await fetch(`${address}${path}`, {
    method,
    headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
  }).catch(() => {
    throw new ApiAway(`no API answers on ${address}: "npm start" starts it; where it is elsewhere, ${ELSEWHERE}.`);
  });
  const body: unknown = await response.json().catch(() => undefined);
  if (response.ok && isObject(body)) return body;
  const { error } = isObject(body) ? (body as { readonly error?: unknown }) : {};
  if (!isObject(error) || !('message' in error)) {
    throw new ApiAway(`what answers on ${address} is no API of Shoal (status ${response.status}): ${ELSEWHERE}.`);
  }
  // Its words are for callers over HTTP.
  throw new UserError(String(error.message).replace('GET /v1/models lists', '"npx shoal models ls" lists'));
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** Of entries `tenant:key` or `tenant:key:weight` that of a tenant who may administer, else the first; undefined: none are needed. */
function keyOf({ SHOAL_API_KEYS: keys = '', SHOAL_ADMINS: admins = '' }: Settings): string | undefined {
  const entries = keys.split(/[,\n]/).map((entry) => entry.trim().split(':'));
  const usable = entries.filter(([tenant, key]) => tenant !== '' && !tenant!.startsWith('#') && key !== undefined);
  const names = admins.split(',').map((name) => name.trim());
  return (usable.find(([tenant]) => names.includes(tenant!)) ?? usable[0])?.[1];
}
