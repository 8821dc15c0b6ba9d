/** What the log is told of failed requests: those that are our fault, with the request id that the caller was given. */
import type { ShoalError } from '@shoal/contracts';
import type { Logger } from '@shoal/telemetry';
import type { FastifyRequest } from 'fastify';

export class FailureLog {
  constructor(private readonly logger: Logger) {}

  write(error: ShoalError, request: FastifyRequest): void {
    const { id, routeOptions, span } = request;
    const fields = { request: id, route: routeOptions.url, code: error.code, trace: span?.traceId };
    if (error.code === 'internal_error') this.logger.error('request.failed', fields, error.cause ?? error);
    else if (error.status >= 500) this.logger.debug('request.failed', fields, error.cause);
  }
}
