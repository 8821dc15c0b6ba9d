/** The `fetch` that @huggingface/hub is given: bounded, patient, and careful about where the token goes. */
import { parseJsonFile } from '@shoal/contracts';
import type { HubSettings, PullContext } from '../context.js';
import { PassingFault, unavailable } from '../faults.js';
import { textOf } from '../http/body.js';
import { get } from '../http/get.js';
import { shown } from '../http/shown.js';
import { withRetries } from '../retries.js';
import { explainHub, type HubRequest } from './explain.js';

/** A page of a list has 1,000 files. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const MAX_ANSWERS = 100;

/** Answers are JSON with status 200, or what this throws: ShoalError `source_unavailable`, the signal's reason. */
export function hubFetch(asked: HubRequest, context: PullContext): typeof fetch {
  const { hub } = context;
  let answers = 0;
  return async (input) => {
    const url = new URL(input instanceof Request ? input.url : input);
    if (++answers > MAX_ANSWERS) throw unavailable(`hf:${asked.repo} has more files than any model has.`);
    return await withRetries(shown(url), context, async () => {
      const answer = await get(
        {
          url,
          home: new URL(hub.endpoint).origin,
          authorization: bearer(hub),
          headers: { accept: 'application/json' },
        },
        context,
      );
      if (answer.status !== 200) {
        answer.body.destroy();
        throw explainHub(answer, asked, hub);
      }
      const text = await textOf(answer.body, MAX_ANSWER_BYTES, shown(url), context);
      if (!isJson(text)) throw new PassingFault('does not answer as a hub does');
      const { link } = answer.headers;
      return new Response(text, link === undefined ? {} : { headers: { link: String(link) } });
    });
  };
}

/** Given to the hub's own host alone, see `get`. */
export function bearer({ token }: HubSettings): string | undefined {
  return token === undefined ? undefined : `Bearer ${token}`;
}

function isJson(text: string): boolean {
  try {
    parseJsonFile(Buffer.from(text));
    return true;
  } catch {
    return false;
  }
}
