/** Every error's way out: the thrown thing → one of the table's errors → the shape of the face that was called. */
import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import { ShoalError } from '@shoal/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { absenceOf, faceOf, textsErrorOf } from '../openai/faces.js';
import { openAiErrorOf, openAiStatusOf } from '../openai/openai-error.js';
import type { FailureLog } from './failure-log.js';
import { problemOf, toShoalError } from './problem.js';
import type { Routes } from './routes.js';

@Catch()
export class ErrorsFilter implements ExceptionFilter {
  constructor(
    private readonly routes: Routes,
    private readonly failures: FailureLog,
  ) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    this.answer(thrown, request, reply);
  }

  /** Also for what the router refuses before Nest sees it. */
  answer(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
    if (reply.sent) return;
    const error = this.nameMethod(toShoalError(thrown), request, reply);
    this.failures.write(error, request);
    reply.header('X-Request-Id', request.id);
    if (error.status === 401) reply.header('WWW-Authenticate', 'Bearer');
    if (error.status === 429 || error.status === 503) reply.header('Retry-After', Math.ceil(error.retryAfter ?? 1));
    const face = faceOf(request.routeOptions.url ?? pathOf(request));
    if (face === 'openai') {
      // OpenAI's clients repeat every 5xx unless they are told not to.
      reply.header('X-Should-Retry', String(error.retryable));
      reply.code(openAiStatusOf(error)).send(openAiErrorOf(error));
    } else if (face === 'texts') {
      reply.code(error.status).send(textsErrorOf(error));
    } else {
      reply
        .code(error.status)
        .type('application/problem+json')
        .send(JSON.stringify(problemOf(error, request.id)));
    }
  }

  /** A path that other methods have is no "not found". */
  private nameMethod(error: ShoalError, request: FastifyRequest, reply: FastifyReply): ShoalError {
    if (error.code !== 'not_found') return error;
    const methods = this.routes.methodsOf(pathOf(request));
    if (methods.length === 0) return new ShoalError('not_found', absenceOf(pathOf(request)));
    if (methods.includes(request.method)) return error;
    reply.header('Allow', methods.join(', '));
    return new ShoalError('method_not_allowed', `This path takes ${methods.join(', ')}.`);
  }
}

function pathOf({ url }: FastifyRequest): string {
  return url.split('?', 1)[0] ?? '';
}
