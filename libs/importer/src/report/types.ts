/** What the parts of a report give each other. */
import type { Runtime } from '@shoal/onnxruntime';

export interface ReportContext {
  readonly runtime: Runtime;
  /** In ms. */
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** One variant: values of columns by their titles. */
export interface Measured {
  readonly variant: string;
  readonly columns: Readonly<Record<string, string>>;
}
