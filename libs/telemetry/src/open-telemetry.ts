/**
 * The tracer on OpenTelemetry's SDK. Loaded only where tracing is on. The SDK reads its own standard variables: sampler
 * (OTEL_TRACES_SAMPLER), batches (OTEL_BSP_*), headers (OTEL_EXPORTER_OTLP_HEADERS), resource (OTEL_SERVICE_NAME ...).
 */
import { hostname } from 'node:os';
import {
  DiagLogLevel,
  diag,
  type Link,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { ExportResultCode, parseTraceParent } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Span, SpanEnd, SpanOptions, Tracer, TracerOptions } from './tracer.js';
import { VERSION } from './version.js';

/** Longest time to send the last spans when the process stops. */
const CLOSE_MS = 2000;

const KINDS = {
  server: SpanKind.SERVER,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  client: SpanKind.CLIENT,
  internal: SpanKind.INTERNAL,
} as const;

export function openExporter({ name, endpoint, onError }: TracerOptions & { readonly endpoint: string }): Tracer {
  // A sampler that is not known, for example: the SDK goes on with its default.
  diag.setLogger(diagnosticsTo(onError), DiagLogLevel.ERROR);
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces` });
  const provider = new BasicTracerProvider({
    resource: resourceOf(name),
    // Bounded: what comes faster than the collector takes it is dropped, and no job waits for it.
    spanProcessors: [new BatchSpanProcessor(tellErrors(exporter, onError))],
  });
  const tracer = provider.getTracer('shoal', VERSION);
  return {
    start(spanName: string, options: SpanOptions = {}): Span {
      const { kind = 'internal', parent, links = [], attributes = {}, startedAt } = options;
      const parentContext = parent === undefined ? null : parseTraceParent(parent);
      const context = parentContext === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote(parentContext));
      const span = tracer.startSpan(
        spanName,
        { kind: KINDS[kind], attributes, links: links.flatMap(linkTo), ...(startedAt && { startTime: startedAt }) },
        context,
      );
      const { traceId, spanId, traceFlags } = span.spanContext();
      return {
        traceId,
        traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
        sampled: span.isRecording(),
        end({ attributes: more, error, endedAt }: SpanEnd = {}) {
          if (more) span.setAttributes(more);
          if (error !== undefined) span.setAttribute('error.type', error).setStatus({ code: SpanStatusCode.ERROR });
          span.end(endedAt);
        },
      };
    },
    async close() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, CLOSE_MS);
      });
      await Promise.race([provider.shutdown().catch(onError), late]);
      clearTimeout(timer);
    },
  };
}

function remote(context: SpanContext): SpanContext {
  return { ...context, isRemote: true };
}

function linkTo(traceparent: string): Link[] {
  const context = parseTraceParent(traceparent);
  return context === null ? [] : [{ context }];
}

/** The environment has the last word, as OpenTelemetry wants it. */
function resourceOf(name: string) {
  const own = resourceFromAttributes({
    'service.name': `shoal-${name}`,
    'service.namespace': 'shoal',
    'service.version': VERSION,
    'service.instance.id': `${hostname()}-${process.pid}`,
  });
  return defaultResource()
    .merge(own)
    .merge(detectResources({ detectors: [envDetector] }));
}

/** The message alone: what else the SDK hands over is its own. */
function diagnosticsTo(onError: (error: Error) => void) {
  const ignore = () => undefined;
  return {
    error: (message: string) => onError(new Error(message)),
    warn: ignore,
    info: ignore,
    debug: ignore,
    verbose: ignore,
  };
}

/** Where an export failed, its reason is told, not thrown away. */
function tellErrors(exporter: SpanExporter, onError: (error: Error) => void): SpanExporter {
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        if (result.code !== ExportResultCode.SUCCESS) onError(result.error ?? new Error('spans were not taken'));
        done({ code: ExportResultCode.SUCCESS });
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}
