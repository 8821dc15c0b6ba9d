/** What a line of a journal says: how one trial ended, or what part of the error of all verdicts one of them was given. */
import { MeasuredLoss, SpeedRatio } from '@shoal/contracts';
import { z } from 'zod';

/** What candidates are chosen by, and what the verdict is by. */
const JUDGED_PARTS = ['choice', 'verdict'] as const;
export type JudgedPart = (typeof JUDGED_PARTS)[number];

/** Hashes of texts that an allotment has. */
export const MOST_HASHES = 64;

/** Longest reason that is kept. */
export const MOST_REASON = 1000;

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const MadeJson = z.strictObject({ method: z.string().max(500), notes: z.array(z.string().max(MOST_REASON)) });

export const ComparisonJson = z.strictObject({
  loss: MeasuredLoss.omit({ allowed: true }),
  speeds: z.array(SpeedRatio).min(1).max(64),
  escalated: z.number().min(0).max(1).exactOptional(),
  figures: z.record(z.string(), z.strictObject({ original: z.number().nullable(), candidate: z.number() })),
});

/** Of which trial a line tells. */
const trial = {
  /** Of all that decides how it ends: see keys.ts. */
  key: Sha256,
  method: z.string(),
  variant: z.string(),
  settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  /** Of the data that the candidate was measured on; left out where it was made. */
  part: z.enum(JUDGED_PARTS).optional(),
  seconds: z.number().min(0),
  at: z.iso.datetime(),
};

export const Entry = z.discriminatedUnion('kind', [
  /** The graph is there, with these bytes in it and beside it. */
  z.strictObject({ kind: z.literal('made'), ...trial, made: MadeJson, bytes: z.int().min(1), sha256: Sha256 }),
  z.strictObject({ kind: z.literal('measured'), ...trial, comparison: ComparisonJson }),
  /** It cannot be made or measured, as it says itself. */
  z.strictObject({ kind: z.literal('refused'), ...trial, reason: z.string().max(MOST_REASON) }),
  /** Something went wrong that should not have. */
  z.strictObject({ kind: z.literal('failed'), ...trial, reason: z.string().max(MOST_REASON) }),
  /** Its process ended without a word, or had to be ended. */
  z.strictObject({
    ...{ kind: z.literal('crashed'), ...trial, reason: z.string().max(MOST_REASON) },
    signal: z.string().nullable(),
    exitCode: z.int().nullable(),
  }),
  /** A graph is about to be judged: noted before any text for the verdict is looked at, and never given again. */
  z.strictObject({
    ...{ kind: z.literal('allotted'), ...trial },
    /** How often its bound may be below the loss. */
    alpha: z.number().positive().max(1),
    /** Print of the original, and a sample of hashes of the texts: verdicts that have both in common share one error. */
    original: Sha256,
    texts: z
      .array(z.string().regex(/^[0-9a-f]{16}$/))
      .min(1)
      .max(MOST_HASHES),
    /** Commands that have judged by these texts, with the one that this is of. */
    command: z.int().min(1),
  }),
]);
export type Entry = z.infer<typeof Entry>;
export type Allotment = Extract<Entry, { kind: 'allotted' }>;
/** How a trial ended. */
export type TrialEntry = Exclude<Entry, Allotment>;
