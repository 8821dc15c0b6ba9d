/** `GET /internal/autoscale/{model}` on the private port, as KEDA's metrics-api trigger asks it. */
import { randomUUID, timingSafeEqual } from 'node:crypto';
import { ShoalError } from '@shoal/contracts';
import type { PrivateAnswer, PrivateRoute } from '@shoal/telemetry';
import { isLoopback } from '../http/host.js';
import { problemOf, toShoalError } from '../http/problem.js';
import { digestOf } from '../http/tenant.js';
import type { Autoscale } from './autoscale.js';

const PATH = '/internal/autoscale/';

export interface AutoscaleAccess {
  /** SHA-256 of the token that callers must send; undefined: none is configured, and only this machine is answered. */
  readonly tokenDigest: Buffer | undefined;
  /** The address that the private port listens on. */
  readonly host: string;
}

export function autoscaleRoute(autoscale: Autoscale, access: AutoscaleAccess): PrivateRoute {
  return (path, { authorization }) => {
    if (!path.startsWith(PATH)) return undefined;
    return answer(async () => {
      authorize(access, authorization);
      return autoscale.readModel(decode(path.slice(PATH.length)));
    });
  };
}

async function answer(read: () => Promise<object>): Promise<PrivateAnswer> {
  try {
    return { status: 200, text: JSON.stringify(await read()), type: 'application/json' };
  } catch (thrown) {
    const error = toShoalError(thrown);
    const text = JSON.stringify(problemOf(error, randomUUID()));
    return { status: error.status, text, type: 'application/problem+json' };
  }
}

function authorize({ tokenDigest, host }: AutoscaleAccess, authorization: string | undefined): void {
  if (tokenDigest === undefined) {
    if (isLoopback(host)) return;
    throw new ShoalError(
      'token_not_set',
      'Set SHOAL_AUTOSCALE_TOKEN and send it as a bearer token: without one this is answered on a loopback SHOAL_METRICS_HOST only.',
    );
  }
  const presented = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? '';
  // Digests are of one length and compared in constant time, so that the time taken tells nothing of the token.
  if (timingSafeEqual(tokenDigest, digestOf(presented))) return;
  throw new ShoalError('unauthorized', 'Send "Authorization: Bearer <SHOAL_AUTOSCALE_TOKEN>".');
}

/** What cannot be decoded names no model. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return '';
  }
}
