/** Loads of texts, each of 90 minutes. How long an answer gets is known to nobody before it has ended. */
import type { Random } from './random.js';
import type { Text } from './text-fleet.js';
import { DURATION_SECONDS, type Traffic } from './traffic.js';

const between = (random: Random, least: number, most: number) => least + Math.floor(random() * (most - least + 1));

/** Prompts of 16 to 1,024 tokens, answers of 8 to 256. */
const mixed = (random: Random): Text => ({ prompt: between(random, 16, 1024), answer: between(random, 8, 256) });

/** A tenth of the answers are long: 160 tokens in the mean. */
const longTailed = (random: Random): Text => ({
  prompt: between(random, 16, 256),
  answer: random() < 0.1 ? 1024 : 64,
});

export const TEXT_TRAFFIC = {
  step: {
    name: 'texts, step 1 → 20 → 1 a second, prompts to 1,024, answers to 256',
    jobsPerSecond: (t) => (t >= 900 && t < 2700 ? 20 : 1),
    tokensOf: mixed,
  },
  diurnal: {
    name: 'texts, diurnal 0 to 20 a second, a tenth of the answers 1,024, others 64',
    jobsPerSecond: (t) => 10 * (1 + Math.sin((2 * Math.PI * t) / DURATION_SECONDS - Math.PI / 2)),
    tokensOf: longTailed,
  },
  shift: {
    name: 'texts, answers 32 → 512 tokens mid-run, 5 a second',
    jobsPerSecond: () => 5,
    tokensOf: (random, t) => ({ prompt: between(random, 16, 256), answer: t < 2700 ? 32 : 512 }),
  },
  onOff: {
    name: 'texts, on and off every 10 min, 15 a second, mixed',
    jobsPerSecond: (t) => (Math.floor(t / 600) % 2 === 0 ? 0 : 15),
    tokensOf: mixed,
  },
} as const satisfies Record<string, Traffic<Text>>;
