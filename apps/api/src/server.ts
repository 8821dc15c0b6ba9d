/** The HTTP server: Nest on Fastify, with what happens to every request around the controllers. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { NotFoundException } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { appModule, type Parts } from './app.module.js';
import { parseBodies } from './http/body.js';
import { closeWhenAnswered } from './http/drain.js';
import { ErrorsFilter } from './http/errors.filter.js';
import { FailureLog } from './http/failure-log.js';
import { requireLocalHost } from './http/host.js';
import { observeRequests } from './http/observe.js';
import { Routes } from './http/routes.js';
import { authenticate } from './http/tenant.js';
import { takesCalls } from './openai/faces.js';
import { setUpDocs } from './openapi/docs.js';

/** Longest path segment: a job id holds a model's name, version and variant. */
const MAX_PARAM_LENGTH = 512;
const REQUEST_ID = /^[\w.:+/=-]{1,128}$/;

/** The application, ready to listen. */
export async function createServer(parts: Parts): Promise<NestFastifyApplication> {
  const routes = new Routes();
  const errors = new ErrorsFilter(routes, new FailureLog(parts.logger));
  const adapter = new FastifyAdapter({
    genReqId: requestId,
    trustProxy: [...(parts.trustedProxies ?? [])],
    // What was accepted is finished while the server closes.
    return503OnClosing: false,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // What the router cannot read is no path.
    frameworkErrors: (_: Error, request: FastifyRequest, reply: FastifyReply) =>
      errors.answer(new NotFoundException(), request, reply),
    skipMiddie: true,
  });
  const server = adapter.getInstance() as unknown as FastifyInstance;
  routes.watch(server);
  parseBodies(server);
  closeWhenAnswered(server);
  observeRequests(server, parts);
  guardRequests(server, parts);
  const app = await NestFactory.create<NestFastifyApplication>(appModule(parts), adapter, {
    bodyParser: false,
    logger: false,
    abortOnError: false,
  });
  app.useGlobalFilters(errors);
  setUpDocs(app, parts);
  await app.init();
  await server.ready();
  return app;
}

/** The caller's own request id, where it is a plain one. */
function requestId({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

/** Whom a request comes from is known before its body is read. Routes are named by pattern: a path has many spellings. */
function guardRequests(server: FastifyInstance, { keys }: Parts): void {
  server.decorateRequest('tenant', null);
  server.addHook('onRequest', (request, reply, done) => {
    reply.header('X-Request-Id', request.id);
    try {
      if (keys.length === 0) requireLocalHost(request.headers.host);
      if (takesCalls(request.routeOptions.url)) {
        reply.header('Cache-Control', 'no-store');
        request.tenant = authenticate(keys, request.headers.authorization);
      }
      done();
    } catch (error) {
      done(error as Error);
    }
  });
}
