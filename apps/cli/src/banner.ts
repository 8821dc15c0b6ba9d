/** What a terminal shows once everything runs. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from './config.js';
import { addressOf } from './processes.js';

const BUNDLED_MODEL = 'wordnet-topic';

export function banner(config: Config): string {
  const address = addressOf(config);
  return `
Shoal is ready on ${address}
Every call, with forms to try it: ${address}/docs

A first job, to paste into another terminal:

  ${firstCall(config, address)}

Ctrl-C stops everything.
`;
}

/** A job for the bundled model; where it is not there, the list of models, which has an example for each. */
function firstCall(config: Config, address: string): string {
  const key = config.SHOAL_API_KEYS === undefined ? '' : ` -H 'authorization: Bearer <your key>'`;
  if (!existsSync(join(config.SHOAL_MODELS_DIR, BUNDLED_MODEL))) return `curl -s '${address}/v1/models'${key}`;
  const body = JSON.stringify({ model: BUNDLED_MODEL, input: 'a small knob' });
  return `curl -s '${address}/v1/jobs?wait=10'${key} -H 'content-type: application/json' -d '${body}'`;
}
