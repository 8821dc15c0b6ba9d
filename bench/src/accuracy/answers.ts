/** Where nothing else is to be done: which variant answers at each bound, and what each costs beside the original. */
import type { JobView, TextClassificationOutput } from '@shoal/contracts';
import { type Measure, measure } from '../measure.js';
import type { Shoal } from '../processes.js';
import { type FigureRow, figureRow, rateRow, ratioRow, type Section } from '../report.js';
import { RestClient, runBounded } from '../rest-client.js';
import { playRounds } from '../rounds.js';
import { BULK_ITEMS, ShoalRest } from '../shoal-rest.js';
import { readSums } from '../worker-metrics.js';
import { untilLoaded } from './loaded.js';
import { type Labelled, MODEL, ORIGINAL, type VariantTable } from './variants.js';

/** Texts at each bound. */
const ASKED = 20;
/** Each text so often, for speeds. */
const AGAIN = 4;
const OPEN = 8;

interface AnswersOptions {
  readonly rounds: number;
  readonly say: (line: string) => void;
}

export async function answersSection(
  shoal: Shoal,
  variants: VariantTable,
  texts: readonly Labelled[],
  options: AnswersOptions,
): Promise<Section> {
  await untilLoaded(shoal.origin, variants.names);
  const figures = [...(await askAtBounds(shoal, variants, texts)), ...(await rightOf(shoal, variants, texts))];
  const results = await speedsOf(shoal, variants, texts, options);
  const others = variants.names.filter((variant) => variant !== ORIGINAL);
  return {
    ratios: others.map((variant) =>
      ratioRow(
        'V',
        `${variant} ÷ ${ORIGINAL}, texts/s over REST, arrays of 1,000`,
        results[variant]!,
        results[ORIGINAL]!,
      ),
    ),
    figures: [
      ...figures,
      ...variants.names.map((variant) =>
        rateRow('V', `${variant} over REST, arrays of 1,000`, results[variant]!, 'texts/s'),
      ),
    ],
    notes: [],
  };
}

/** The answer is to be that of the right variant, word for word, and to say so. */
async function askAtBounds(
  { origin }: Shoal,
  variants: VariantTable,
  texts: readonly Labelled[],
): Promise<FigureRow[]> {
  const client = new RestClient(origin, OPEN);
  const ask = async (body: object): Promise<JobView> => {
    const answer = await client.send('POST', '/v1/jobs?wait=60', JSON.stringify(body));
    if (answer.status !== 200) throw new Error(`a job was answered ${answer.status}: ${answer.body.toString()}`);
    return JSON.parse(answer.body.toString()) as JobView;
  };
  const { budgets } = variants;
  let [wrong, foreign] = [0, 0];
  try {
    await runBounded(budgets.length * ASKED, OPEN, async (n) => {
      const budget = budgets[Math.floor(n / ASKED)]!;
      const { text: input } = texts[n % texts.length]!;
      const { variant, accuracy_loss: loss, output } = await ask({ model: MODEL, input, max_accuracy_loss: budget });
      const right = variants.fastestWithin(budget);
      if (variant !== right || (loss?.bound ?? 0) !== variants.boundOf(right)) wrong += 1;
      const own = await ask({ model: `${MODEL}:${right}`, input });
      if (!isSame(output, own.output)) foreign += 1;
    });
  } finally {
    client.close();
  }
  return [
    figureRow(
      'V',
      `of ${budgets.length * ASKED} requests at all bounds, those given another than the right variant`,
      [wrong],
      '',
    ),
    figureRow('V', 'those whose answer was not that of the variant that they were told', [foreign], ''),
  ];
}

/** The kernels of a larger batch add in another order. */
function isSame(a: unknown, b: unknown): boolean {
  const [one, other] = [a as TextClassificationOutput, b as TextClassificationOutput];
  const scores = new Map(other.map(({ label, score }) => [label, score]));
  return one.every(({ label, score }) => Math.abs(score - (scores.get(label) ?? Number.NaN)) < 1e-5);
}

/** Accuracy over REST, and how much of it a cascade's teacher answers. */
async function rightOf(shoal: Shoal, variants: VariantTable, texts: readonly Labelled[]): Promise<FigureRow[]> {
  const figures: FigureRow[] = [];
  for (const variant of variants.names) {
    const rest = openRest(shoal, variant);
    const before = await passed(shoal);
    let right = 0;
    for (let from = 0; from < texts.length; from += BULK_ITEMS) {
      const some = texts.slice(from, from + BULK_ITEMS);
      const { output } = await rest.result(some.map(({ text }) => text));
      const found = output as readonly TextClassificationOutput[];
      right += some.filter(({ label }, n) => found[n]![0]!.label === label).length;
    }
    rest.close();
    const after = await passed(shoal);
    figures.push(figureRow('V', `accuracy of ${variant} over REST`, [(100 * right) / texts.length], '%'));
    const [escalated, ran] = [after.escalated - before.escalated, after.ran - before.ran];
    if (escalated > 0) {
      figures.push(figureRow('V', `texts that the teacher of ${variant} answers`, [(100 * escalated) / ran], '%'));
    }
  }
  return figures;
}

async function passed({ workerMetrics }: Shoal): Promise<{ readonly escalated: number; readonly ran: number }> {
  const sums = await readSums(workerMetrics, ['shoal_escalated_total', 'shoal_inferences_total']);
  return { escalated: sums.shoal_escalated_total, ran: sums.shoal_inferences_total };
}

async function speedsOf(
  shoal: Shoal,
  variants: VariantTable,
  texts: readonly Labelled[],
  { rounds, say }: AnswersOptions,
): Promise<Readonly<Record<string, readonly Measure[]>>> {
  const inputs = Array.from({ length: AGAIN }, () => texts.map(({ text }) => text)).flat();
  const rests = variants.names.map((variant) => [variant, openRest(shoal, variant)] as const);
  const contestants = rests.map(([variant, rest]) => {
    const run = () => measure(inputs.length, Object.values(shoal.pids), () => rest.bulk(inputs));
    return [variant, run] as const;
  });
  try {
    return await playRounds(Object.fromEntries(contestants), rounds, say);
  } finally {
    for (const [, rest] of rests) rest.close();
  }
}

/** Texts that are too long are cut, as where they are measured by. */
function openRest({ origin }: Shoal, variant: string): ShoalRest {
  return new ShoalRest(origin, `${MODEL}:${variant}`, OPEN, { truncate: true });
}
