/** What is told of every request: its duration as a metric; a span where tracing is on; a log line at level debug. */
import { parseJobId } from '@shoal/queue';
import type { ApiMetrics, Logger, Span, Tracer } from '@shoal/telemetry';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { takesCalls } from '../openai/faces.js';

export interface Observers {
  readonly metrics: ApiMetrics;
  readonly logger: Logger;
  readonly tracer: Tracer | undefined;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Null where tracing is off, and of requests that are not traced. */
    span: Span | null;
  }
}

/** To be called before any other hook is added: also what is refused at once is told. */
export function observeRequests(server: FastifyInstance, { metrics, logger, tracer }: Observers): void {
  server.decorateRequest('span', null);
  if (tracer) traceRequests(server, tracer);
  measureRequests(server, metrics);
  // Where nobody reads the lines, requests do not pay for them.
  if (logger.enabled('debug')) logRequests(server, logger);
}

function measureRequests(server: FastifyInstance, metrics: ApiMetrics): void {
  server.addHook('onResponse', (request, reply, done) => {
    const labels = { method: request.method, route: routeOf(request), status: reply.statusCode };
    metrics.httpDuration.observe(labels, reply.elapsedTime / 1000);
    done();
  });
}

/** Probes and pages of the documentation are no part of anybody's trace. */
function traceRequests(server: FastifyInstance, tracer: Tracer): void {
  whenDone(server, (request, reply) => {
    const route = routeOf(request);
    if (!takesCalls(route)) return undefined;
    const { traceparent } = request.headers;
    const span = tracer.start(`${request.method} ${route}`, {
      kind: 'server',
      parent: typeof traceparent === 'string' ? traceparent : undefined,
      attributes: { 'http.request.method': request.method, 'http.route': route, 'shoal.request.id': request.id },
    });
    request.span = span;
    return () => {
      const status = reply.statusCode;
      const attributes = { 'http.response.status_code': status, 'shoal.job.id': jobOf(request, reply) };
      span.end({ attributes, ...(status >= 500 && { error: String(status) }) });
    };
  });
}

function logRequests(server: FastifyInstance, logger: Logger): void {
  whenDone(server, (request, reply) => () => {
    logger.debug('request.done', {
      request: request.id,
      method: request.method,
      route: routeOf(request),
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      // The caller hung up before it had the whole answer.
      ...(!reply.raw.writableFinished && { aborted: true }),
      tenant: request.permit?.tenant.name,
      job: jobOf(request, reply),
      trace: request.span?.traceId,
    });
  });
}

/** `begin` at the start of each request; what it returns when the answer is out or the caller has hung up. */
function whenDone(
  server: FastifyInstance,
  begin: (request: FastifyRequest, reply: FastifyReply) => (() => void) | undefined,
): void {
  server.addHook('onRequest', (request, reply, done) => {
    const end = begin(request, reply);
    // Comes once for every request; Fastify's onResponse does not where the caller hung up.
    if (end) reply.raw.once('close', end);
    done();
  });
}

/** The pattern: paths hold ids. */
function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url ?? 'none';
}

/** The one job that a request made or asked for. */
function jobOf(request: FastifyRequest, reply: FastifyReply): string | undefined {
  const asked = routeOf(request).startsWith('/v1/jobs/:id') ? (request.params as { id: string }).id : undefined;
  const id = asked ?? String(reply.getHeader('location') ?? '').replace('/v1/jobs/', '');
  // A path may hold any text.
  return parseJobId(id) === null ? undefined : id;
}
