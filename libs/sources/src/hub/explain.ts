/** What a hub means by its answers, and what to do about them. */
import type { HubSettings } from '../context.js';
import { unavailable } from '../faults.js';
import type { Answer } from '../http/get.js';
import { passingFault } from '../http/open-url.js';

export interface HubRequest {
  readonly repo: string;
  readonly revision: string | undefined;
}

/**
 * The codes are those of the header X-Error-Code, as huggingface_hub reads them. Without a token a hub says 401 of whatever
 * it does not show: of what is private, and of what there is not.
 */
export function explainHub(answer: Pick<Answer, 'status' | 'headers'>, asked: HubRequest, hub: HubSettings): Error {
  const passing = passingFault(answer);
  if (passing !== undefined) return passing;
  const { repo, revision } = asked;
  const { status, headers } = answer;
  const code = String(headers['x-error-code'] ?? '');
  const page = `${hub.endpoint}/${repo}`;
  const source = `hf:${repo}`;
  if (code === 'GatedRepo') {
    const then =
      hub.token === undefined ? 'then set HF_TOKEN to a token of that account' : 'with the account that HF_TOKEN is of';
    return unavailable(`${source} is gated: accept its conditions on ${page}, ${then}.`);
  }
  if (code === 'DisabledRepo') return unavailable(`${source} was disabled by the hub; ${page} says why.`);
  if (code === 'RevisionNotFound')
    return unavailable(`${source} has no revision ${revision ?? 'main'}; ${page}/tree/main lists them.`);
  if (code === 'EntryNotFound')
    return unavailable(`${source} does not have a file any more that it has listed: pull it again.`);
  if (status === 401 && hub.token !== undefined && code !== 'RepoNotFound') {
    return unavailable(
      `${source}: the hub does not take the token of HF_TOKEN; ${hub.endpoint}/settings/tokens makes another.`,
    );
  }
  if (status === 401 || status === 404 || code === 'RepoNotFound') {
    const also = hub.token === undefined ? 'set HF_TOKEN to a token that may read it' : 'HF_TOKEN may not read it';
    return unavailable(`${source} is not there: look at its name (${page}); if it is private, ${also}.`);
  }
  if (status === 403)
    return unavailable(`${source} may not be read with this token (403): it needs the right to read ${repo}.`);
  return unavailable(`${source}: the hub answers ${status}.`);
}
