/** What is tuned of a model, and what the session of one that answers in a forward pass is made with. */
import { z } from 'zod';

const count = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);

/** Left out: what a worker does by itself. */
export const TunedSettings = z.strictObject({
  /** Of one forward pass. */
  threads: z.int().min(1).max(1024).optional(),
  /** Whether threads that wait for work within a pass use the processor meanwhile. */
  spinning: z.boolean().optional(),
  /** Whether attention is computed in blocks. */
  flashAttention: z.boolean().optional(),
  /** Whether memory of a pass is kept for the next. */
  cpuArena: z.boolean().optional(),
  /** Most tokens of a micro-batch, padding included. */
  maxBatchTokens: count.optional(),
  /** Tokens of padding that a micro-batch may have at most. */
  passTokens: count.optional(),
});
export type TunedSettings = Readonly<z.output<typeof TunedSettings>>;

/** Options of a session on the CPU, as libs/onnxruntime has them. */
export interface EncoderSession {
  readonly intraOpThreads: number;
  readonly spinning: boolean;
  readonly flashAttention: boolean;
  readonly cpuArena: boolean;
  readonly config: Readonly<Record<string, string>>;
}

export function encoderSession({
  threads = 1,
  spinning = false,
  flashAttention = true,
  cpuArena = true,
}: TunedSettings): EncoderSession {
  return {
    ...{ intraOpThreads: threads, spinning, flashAttention, cpuArena },
    // Between passes threads that spin would only take the processor from others.
    config: spinning ? { 'session.force_spinning_stop': '1' } : {},
  };
}
