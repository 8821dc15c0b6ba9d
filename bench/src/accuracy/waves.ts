/**
 * What 10,000 requests are given where they go down under load only. In waves: the original's queue is flooded, requests come, the
 * flood is taken back, and requests come again.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { seededRandom } from '@shoal/training';
import type { Shoal } from '../processes.js';
import { figureRow, type Section } from '../report.js';
import { RestClient, runBounded } from '../rest-client.js';
import { untilLoaded } from './loaded.js';
import { MODEL, ORIGINAL, type VariantTable } from './variants.js';

const REQUESTS = 10_000;
const WAVES = 10;
/** Of a wave's requests, those that come while the queue is flooded. */
const FLOODED = 0.8;
const FLOOD_JOBS = 12;
const FLOOD_TEXTS = 1000;
const OPEN = 16;
const PAUSE_MS = 50;

interface Given {
  readonly budget: number;
  readonly variant: string;
}

export async function wavesSection(
  shoal: Shoal,
  variants: VariantTable,
  { scale, say }: { readonly scale: number; readonly say: (line: string) => void },
): Promise<Section> {
  await untilLoaded(shoal.origin, variants.names);
  const given = await playWaves(shoal, variants, Math.round((REQUESTS * scale) / WAVES), say);
  return summary(variants, given);
}

async function playWaves({ origin }: Shoal, { budgets }: VariantTable, requests: number, say: (line: string) => void) {
  const client = new RestClient(origin, OPEN);
  const random = seededRandom(11);
  const flooded: Given[] = [];
  const calm: Given[] = [];
  const texts = Array.from({ length: FLOOD_TEXTS }, (_, n) => `a large fish that lives in the sea near ${n} others`);
  const ask = async (into: Given[], count: number) =>
    await runBounded(count, OPEN, async () => {
      const budget = budgets[Math.floor(random() * budgets.length)]!;
      into.push({ budget, variant: variantOf(await submit(client, 'a small knob', budget)) });
    });
  const until = async (isDown: boolean) => {
    while ((variantOf(await submit(client, 'a small knob', 1)) !== ORIGINAL) !== isDown) await pause(PAUSE_MS);
  };
  try {
    for (let wave = 0; wave < WAVES; wave++) {
      const flood: string[] = [];
      await runBounded(FLOOD_JOBS, 4, async () => void flood.push(await submit(client, texts, 0)));
      await until(true);
      await ask(flooded, Math.round(requests * FLOODED));
      await runBounded(flood.length, 4, async (n) => void (await client.send('POST', `/v1/jobs/${flood[n]!}/cancel`)));
      await until(false);
      await ask(calm, Math.round(requests * (1 - FLOODED)));
      say(`  wave ${wave + 1} of ${WAVES}: ${flooded.length + calm.length} requests`);
    }
  } finally {
    client.close();
  }
  return { flooded, calm };
}

/** The id of the job. */
async function submit(client: RestClient, input: string | readonly string[], budget: number): Promise<string> {
  const body = JSON.stringify({ model: MODEL, input, max_accuracy_loss: budget });
  const { status, body: answer } = await client.send('POST', '/v1/jobs', body);
  if (status !== 202) throw new Error(`a job was answered ${status}: ${answer.toString()}`);
  return (JSON.parse(answer.toString()) as { id: string }).id;
}

function variantOf(id: string): string {
  return /\.1\.([\w-]+)\.0\.\w+$/.exec(id)?.[1] ?? id;
}

function summary(
  variants: VariantTable,
  { flooded, calm }: { readonly flooded: readonly Given[]; readonly calm: readonly Given[] },
): Section {
  const all = [...flooded, ...calm];
  const count = (given: readonly Given[], is: (one: Given) => boolean) => given.filter(is).length;
  const share = (given: readonly Given[], is: (one: Given) => boolean) => count(given, is) / given.length;
  const worse = count(all, ({ budget, variant }) => variants.boundOf(variant) > budget);
  const moved = count(all, ({ budget, variant }) => budget === 0 && variant !== ORIGINAL);
  return {
    ratios: [],
    figures: [
      figureRow('V', 'requests that were given a worse variant than they allow', [worse], ''),
      figureRow('V', 'requests that allow nothing and were given another than the original', [moved], ''),
      figureRow(
        'V',
        'share that was given the fastest that fits, flooded',
        [share(flooded, ({ budget, variant }) => variant === variants.fastestWithin(budget))],
        '',
      ),
      figureRow(
        'V',
        'share that was given the original, calm',
        [share(calm, ({ variant }) => variant === ORIGINAL)],
        '',
      ),
    ],
    notes: [`Of ${all.length} requests ${flooded.length} came while the original's queue was flooded.`],
  };
}
