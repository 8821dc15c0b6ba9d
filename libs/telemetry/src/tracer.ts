/**
 * Traces: the path of a job as spans, from the HTTP request to the forward pass. Off unless an endpoint is given; only
 * then is OpenTelemetry loaded (open-telemetry.ts), and spans go to a collector by OTLP over HTTP.
 *
 * A span is known to others by its W3C traceparent, a string: it travels in headers and in job records, and whoever
 * carries it need not know what it is.
 */

/** Ids, names and numbers; never an input, an output or a key. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface SpanOptions {
  readonly kind?: 'server' | 'producer' | 'consumer' | 'client' | 'internal';
  /** Traceparent of the span that this one is a part of. Without one, or with one that is none, it begins a trace. */
  readonly parent?: string | undefined;
  /** Traceparents of spans that it has to do with. */
  readonly links?: readonly string[];
  readonly attributes?: SpanAttributes;
  /** Unix ms; now where left out. */
  readonly startedAt?: number;
}

export interface SpanEnd {
  readonly attributes?: SpanAttributes;
  /** Why it failed, where it did. */
  readonly error?: string | undefined;
  /** Unix ms; now where left out. */
  readonly endedAt?: number;
}

export interface Span {
  readonly traceId: string;
  readonly traceparent: string;
  /** False: the sampler keeps nothing of this trace. */
  readonly sampled: boolean;
  end(how?: SpanEnd): void;
}

export interface Tracer {
  start(name: string, options?: SpanOptions): Span;
  /** Sends what has ended; resolves within 2 s, also where the collector does not answer. */
  close(): Promise<void>;
}

export interface TracerOptions {
  /** Which process this is: `api`, `worker`. */
  readonly name: string;
  /** Base URL of an OTLP/HTTP receiver, as OTEL_EXPORTER_OTLP_ENDPOINT gives it. Undefined: no tracing. */
  readonly endpoint: string | undefined;
  /** Told of every export that failed; its spans are lost. */
  readonly onError: (error: Error) => void;
}
