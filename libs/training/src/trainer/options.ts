/** How a model is trained: all that decides what comes of it, beside the graph and the examples. */
import { refused } from '../errors.js';

export interface TrainerOptions {
  /** Steps of the whole run: the learning rate is 0 (or `floor`) behind the last one. */
  readonly steps: number;
  /** At its highest. Healing a pruned encoder: 1e-4 to 5e-4. */
  readonly learningRate: number;
  /** Examples there are, and how many make a batch. */
  readonly examples: number;
  readonly batchSize: number;
  /** Of the order of examples. */
  readonly seed: number;
  /** Batches whose gradients are added up for a step: memory for one, the effect of all. Default 1. */
  readonly accumulate?: number;
  /** Steps over which the rate grows from nearly 0. Default 0. */
  readonly warmup?: number;
  /** How the rate falls after that. Default `linear`. */
  readonly decay?: 'linear' | 'cosine' | 'none';
  /** What the rate falls to, as a share of the highest. Default 0. */
  readonly floor?: number;
  /** The longest a step's gradient may be: longer ones are shortened to it. `Infinity`: none is. Default 1. */
  readonly clip?: number;
  /** Of matrices and tables; norms and biases have none. Default 0.01. */
  readonly weightDecay?: number;
  /** How much of the first and second moments is kept from step to step. Default 0.9 and 0.999. */
  readonly beta1?: number;
  readonly beta2?: number;
  /** Added to the root of the second moment. Default 1e-8. */
  readonly epsilon?: number;
}

export type Settings = Required<TrainerOptions>;

const DEFAULTS = {
  accumulate: 1,
  warmup: 0,
  decay: 'linear',
  floor: 0,
  clip: 1,
  weightDecay: 0.01,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
} as const satisfies Partial<TrainerOptions>;

type Numeric = Exclude<keyof Settings, 'decay'>;

const positive = { what: 'a number above 0', fits: (value: number) => value > 0 && value < Number.POSITIVE_INFINITY };
const share = { what: 'a number from 0 to below 1', fits: (value: number) => value >= 0 && value < 1 };
const count = { what: 'a whole number from 1', fits: (value: number) => Number.isSafeInteger(value) && value >= 1 };
const whole = { what: 'a whole number from 0', fits: (value: number) => Number.isSafeInteger(value) && value >= 0 };

const BOUNDS: Readonly<Record<Numeric, { readonly what: string; readonly fits: (value: number) => boolean }>> = {
  ...{ steps: count, learningRate: positive, examples: count, batchSize: count, accumulate: count },
  ...{ seed: whole, warmup: whole, floor: share, beta1: share, beta2: share, epsilon: positive },
  clip: { what: 'a number above 0, or Infinity', fits: (value) => value > 0 },
  weightDecay: { what: 'a number from 0', fits: (value) => value >= 0 && value < Number.POSITIVE_INFINITY },
};

/** @throws ShoalError `invalid_request` naming the option and what it may be */
export function settingsOf(options: TrainerOptions): Settings {
  const settings: Settings = { ...DEFAULTS, ...options };
  for (const [name, { what, fits }] of Object.entries(BOUNDS)) {
    const value = settings[name as Numeric];
    if (!fits(value)) throw refused(`${name}: ${value} is not ${what}`);
  }
  if (!['linear', 'cosine', 'none'].includes(settings.decay)) {
    throw refused(`decay: ${settings.decay} is none of linear, cosine, none`);
  }
  if (settings.warmup >= settings.steps) {
    throw refused(`warmup: ${settings.warmup} of ${settings.steps} steps leave none to train at the full rate`);
  }
  return settings;
}

/** The learning rate of a step, counted from 0: up in a line, then down to `floor` in a line or half a cosine's wave. */
export function rateAt(step: number, { steps, warmup, learningRate, decay, floor }: Settings): number {
  if (step < warmup) return (learningRate * (step + 1)) / (warmup + 1);
  const done = (step - warmup) / (steps - warmup);
  const left = decay === 'none' ? 1 : decay === 'linear' ? 1 - done : (1 + Math.cos(Math.PI * done)) / 2;
  return learningRate * (floor + (1 - floor) * left);
}
