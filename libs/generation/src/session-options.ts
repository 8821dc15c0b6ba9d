/** How the session of a decoder is made: by engines, and by whoever measures what an engine would do. */
import type { SessionOptions } from '@shoal/onnxruntime';

export interface DecoderSettings {
  /** Threads that share the work of one operator. */
  readonly threads: number;
  /** Whether threads that wait for work within a pass use the processor meanwhile. Default: they do, which is faster by a third. */
  readonly spinning?: boolean | undefined;
  /** Whether attention is computed in blocks. Default: not, which is a tenth to a fifth faster with many rows of different lengths. */
  readonly flashAttention?: boolean | undefined;
  /** Whether memory of a pass is kept for the next. Default: it is. */
  readonly cpuArena?: boolean | undefined;
}

export function decoderSession({
  threads,
  spinning = true,
  flashAttention = false,
  cpuArena = true,
}: DecoderSettings): SessionOptions {
  return {
    ...{ intraOpThreads: threads, spinning, flashAttention, cpuArena },
    // Between passes threads that spin would only take the processor from others.
    config: { 'session.force_spinning_stop': '1' },
  };
}
