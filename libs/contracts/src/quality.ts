/**
 * `quality.json` in a version's folder: what its variants lose beside the original, and gain in speed, as it was measured. Written
 * by `shoal optimize` and `shoal evaluate --keep`; who asks for `max_accuracy_loss` gets a variant by it.
 */
import { z } from 'zod';

/** What a loss is counted in. All but `perplexity` are differences of shares or scores between 0 and 1. */
export const LOSS_METRICS = [
  /** Of labelled texts that a classifier gets right. */
  'accuracy',
  /** Of texts that get the original's class: where there are no labels. */
  'agreement',
  /** Of queries whose own document is among the ten nearest. */
  'recall@10',
  /** Of an embedding to the original's: 1 less the cosine. */
  'cosine',
  /** Of a ranking, by grades (Järvelin and Kekäläinen 2002). */
  'ndcg@10',
  /** Of entities that a classifier of tokens finds: F1 over all texts. */
  'f1',
  /** The logarithm of the ratio of perplexities: mean nats a token that the right token lost. 0.01 is one per cent. */
  'perplexity',
] as const;
export const LossMetric = z.enum(LOSS_METRICS);
export type LossMetric = z.infer<typeof LossMetric>;

/** Positive: worse than the original. */
export const MeasuredLoss = z.strictObject({
  metric: LossMetric,
  mean: z.number(),
  /** The one-sided upper 95 % bound of the mean over texts like these. */
  bound: z.number(),
  /** What was allowed when it was judged. */
  allowed: z.number().min(0),
  /** Texts, pairs or queries that the bound is over. */
  texts: z.int().min(1),
});
export type MeasuredLoss = z.infer<typeof MeasuredLoss>;

/** What of a loss is told with answers. */
export const AccuracyLoss = MeasuredLoss.pick({ metric: true, mean: true, bound: true });
export type AccuracyLoss = z.infer<typeof AccuracyLoss>;

/** Of requests: how much worse than the original the variant may be that answers. */
export const MaxAccuracyLoss = z
  .number()
  .min(0)
  // Nobody wants to lose more than 1 of any metric: it is meant as per cent.
  .max(1)
  .default(0)
  .meta({
    description:
      'How much accuracy the answer may lose in order to come sooner: the fastest variant is taken whose measured loss, by its upper bound and in the metric that it was measured in, is at most this (0.01: one point, or one per cent of perplexity; at most 1). 0, as where left out: what the name of the model stands for.',
    examples: [0.01],
  });

/** How much faster than the original on the same machine, in turns with it: the median of ratios, and its 95 % interval. */
export const SpeedRatio = z.strictObject({
  /** Texts in one pass, and tokens of each. */
  batch: z.int().min(1),
  tokens: z.int().min(1),
  ratio: z.number().positive(),
  low: z.number().positive(),
  high: z.number().positive(),
});
export type SpeedRatio = z.infer<typeof SpeedRatio>;

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** Which graph is meant: an ONNX file with the files that its weights are in. */
export const GraphIdentity = z.strictObject({
  /** Of the bytes of all of them. */
  sha256: Sha256,
  /** Of size, time of the last change and inode of each, as they were: where these are still the same, no byte has to be read. */
  stamp: z.string().max(4000),
});
export type GraphIdentity = z.infer<typeof GraphIdentity>;

export const VariantQuality = z.strictObject({
  /** The variant's graph, and the original's beside which it was measured: the figures are of these two and no others. */
  graph: GraphIdentity,
  beside: GraphIdentity,
  /** `passed` the gate; `forced`: kept although it did not, for the reason given. */
  verdict: z.enum(['passed', 'forced']),
  reason: z.string().max(1000).optional(),
  /** How it was made, for people: `int8`, `layers 0 3, trained 1,200 steps`. */
  method: z.string().max(500),
  loss: MeasuredLoss,
  /** Of a cascade: the share of these texts that its teacher answered. */
  escalated: z.number().min(0).max(1).exactOptional(),
  speeds: z.array(SpeedRatio).min(1).max(64),
  /** File that was measured on, by its name and what is in it. */
  data: z.strictObject({ file: z.string().max(255), sha256: Sha256 }),
  /** Processor, cores and version of the runtime, for people. */
  machine: z.string().max(500),
  measured: z.iso.datetime(),
});
export type VariantQuality = z.infer<typeof VariantQuality>;

const EARLIER =
  'was written by an earlier version of Shoal: delete the file, and measure again (shoal evaluate --keep)';

/** Earlier versions told graphs apart by their sizes, which says nothing of what is in them. */
const NotEarlier = z
  .unknown()
  .refine((value) => !isObject(value) || !('bytes' in value && !('graph' in value)), EARLIER);

export const QualityJson = z.strictObject({
  /** The variant that all others are measured against. */
  original: z.string(),
  variants: z.record(z.string(), NotEarlier.pipe(VariantQuality)),
});
export type QualityJson = z.infer<typeof QualityJson>;
