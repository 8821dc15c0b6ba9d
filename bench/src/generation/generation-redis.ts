/**
 * What a token costs Redis: scripts, commands in all, bytes to and from it, and its processor time. 1, 8 and 32 texts at once
 * of the bundled model, followed as server-sent events and only waited for. By Redis's own counters, as INFO has them, so what
 * the processes do beside it (locks, looks for work) counts as well.
 */

import { seededRandom } from '@shoal/training';
import { Redis } from 'ioredis';
import { startShoal } from '../processes.js';
import type { FigureRow, Section } from '../report.js';
import { RestClient } from '../rest-client.js';
import { ROOT } from '../root.js';
import { spread } from '../rounds.js';
import { Completions } from './completions.js';
import type { GenerationOptions } from './generation-bench.js';

const MODEL = 'wordnet-lm';
const PROMPT = 16;
const TOKENS = 200;
const BATCHES = [1, 8, 32];
const FIRST_WORD = 300;
const WORDS = 3000;

/** Redis's counters, in the units of what is reported. */
interface Counters {
  readonly scripts: number;
  readonly commands: number;
  readonly 'bytes in': number;
  readonly 'bytes out': number;
  readonly 'µs of its processor time': number;
}

export async function generationRedisBench({ rounds, say, workerEnv }: GenerationOptions): Promise<Section> {
  const shoal = await startShoal({ modelsDir: `${ROOT}models`, models: [MODEL], workerEnv });
  const redis = new Redis(shoal.redisUrl);
  const completions = new Completions(shoal.origin, MODEL);
  const client = new RestClient(shoal.origin, Math.max(...BATCHES));
  const random = seededRandom(9);
  const promptOf = () => Array.from({ length: PROMPT }, () => FIRST_WORD + Math.floor(random() * WORDS));
  const kinds = {
    followed: (prompt: number[]) => completions.stream({ prompt, maxTokens: TOKENS }),
    'only waited for': (prompt: number[]) => waitFor(client, prompt),
  };
  const figures: FigureRow[] = [];
  try {
    await kinds.followed(promptOf());
    for (const texts of BATCHES) {
      for (const [kind, run] of Object.entries(kinds)) {
        const costs: Counters[] = [];
        for (let round = 0; round < rounds; round++) {
          const before = await countersOf(redis);
          await Promise.all(Array.from({ length: texts }, () => run(promptOf())));
          costs.push(perToken(before, await countersOf(redis), texts * TOKENS));
        }
        for (const unit of Object.keys(costs[0]!) as (keyof Counters)[]) {
          const value = spread(costs.map((cost) => cost[unit]));
          figures.push({ requirement: 'G', what: `Redis for a token of ${texts}, ${kind}`, value, unit });
        }
        say(`  ${texts}, ${kind}: ${JSON.stringify(costs.at(-1))}`);
      }
    }
  } finally {
    client.close();
    completions.close();
    redis.disconnect();
    await shoal.stop();
  }
  return { ratios: [], figures, notes: [`generation-redis: ${MODEL}, ${TOKENS} new tokens after ${PROMPT}`] };
}

/** A job whose texts nobody reads before their end. */
async function waitFor(client: RestClient, prompt: readonly number[]): Promise<void> {
  const parameters = { max_tokens: TOKENS, temperature: 0, ignore_eos: true };
  const body = JSON.stringify({ model: MODEL, input: { tokens: prompt }, parameters });
  const { status, body: answer } = await client.send('POST', '/v1/jobs?wait=60', body);
  const job = JSON.parse(answer.toString()) as { readonly status: string };
  if (job.status !== 'completed') throw new Error(`HTTP ${status}: a job is ${job.status}`);
}

async function countersOf(redis: Redis): Promise<Counters> {
  const info = `${await redis.info('stats')}${await redis.info('cpu')}${await redis.info('commandstats')}`;
  const read = (name: RegExp) => Number(name.exec(info)?.[1] ?? 0);
  return {
    scripts: read(/cmdstat_evalsha:calls=(\d+)/),
    commands: read(/total_commands_processed:(\d+)/),
    'bytes in': read(/total_net_input_bytes:(\d+)/),
    'bytes out': read(/total_net_output_bytes:(\d+)/),
    'µs of its processor time': 1e6 * (read(/used_cpu_user:([\d.]+)/) + read(/used_cpu_sys:([\d.]+)/)),
  };
}

function perToken(before: Counters, after: Counters, tokens: number): Counters {
  const units = Object.keys(before) as (keyof Counters)[];
  return Object.fromEntries(units.map((unit) => [unit, (after[unit] - before[unit]) / tokens])) as unknown as Counters;
}
