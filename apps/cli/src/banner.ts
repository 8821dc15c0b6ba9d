/** What a terminal shows once everything runs. */
import { callApi } from './call-api.js';
import type { Config } from './config.js';
import { addressOf } from './processes.js';

/** Of the models that come with Shoal, the one with the most to show. */
const BUNDLED_MODEL = 'wordnet-topic';

export async function banner(config: Config): Promise<string> {
  const address = addressOf(config);
  return `
Shoal is ready on ${address}
Every call, with forms to try it: ${address}/docs

A first job, to paste into another terminal:

  ${await firstCall(config, address)}

Another model, while everything runs (npx shoal help import tells what it takes):

  npx shoal import hf:<org>/<name>

Ctrl-C stops everything.
`;
}

/** The example of a model's own card: the bundled one's, else the first one's. */
async function firstCall(config: Config, address: string): Promise<string> {
  try {
    const { data } = (await callApi(config, 'GET', '/v1/models')) as {
      readonly data: readonly { readonly id: string }[];
    };
    const { id } = data.find((model) => model.id === BUNDLED_MODEL) ?? data[0]!;
    return ((await callApi(config, 'GET', `/v1/models/${id}`)) as { readonly example: { readonly curl: string } })
      .example.curl;
  } catch {
    const key = config.SHOAL_API_KEYS === undefined ? '' : " -H 'authorization: Bearer <your key>'";
    return `curl -s '${address}/v1/models'${key}`;
  }
}
