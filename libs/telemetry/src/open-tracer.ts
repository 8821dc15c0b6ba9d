/** Traces, for whoever gives an endpoint. */
import type { Tracer, TracerOptions } from './tracer.js';

/** Undefined where tracing is off: nothing of OpenTelemetry is loaded then. */
export async function openTracer({ endpoint, ...options }: TracerOptions): Promise<Tracer | undefined> {
  if (endpoint === undefined) return undefined;
  const { openExporter } = await import('./open-telemetry.js');
  return openExporter({ endpoint, ...options });
}
