/** The HTTP server: Nest on Fastify, with what happens to every request around the controllers. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { NotFoundException } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Tenant } from '@shoal/queue';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { appModule, type Parts } from './app.module.js';
import { EventUrls } from './events/event-urls.js';
import { parseBodies } from './http/body.js';
import { closeWhenAnswered } from './http/drain.js';
import { ErrorsFilter } from './http/errors.filter.js';
import { FailureLog } from './http/failure-log.js';
import { requireLocalHost } from './http/host.js';
import { lingerAfterEarlyAnswers } from './http/linger.js';
import { observeRequests } from './http/observe.js';
import { allowOrigins } from './http/origins.js';
import { longestMs } from './http/pace.js';
import { Permits } from './http/permit.js';
import { endQueuedAnswers } from './http/pipelining.js';
import { Routes } from './http/routes.js';
import { type ApiKey, authenticate } from './http/tenant.js';
import { takesCalls } from './openai/faces.js';
import { setUpDocs } from './openapi/docs.js';

/** Longest path segment: a job id holds a model's name, version and variant. */
const MAX_PARAM_LENGTH = 512;
/** Longest time in ms for a request's head, and between two looks at who is over it. */
const HEADERS_MS = 20_000;
const CHECK_MS = 5000;
/** Longest silence in ms of a connection, beside the longest answer that is waited for. */
const IDLE_MS = 60_000;
const REQUEST_ID = /^[\w.:+/=-]{1,128}$/;

const EVENTS_ROUTE = '/v1/jobs/:id/events';

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
    // A request's body has a pace of its own (http/pace.ts); this is for those that nobody reads.
    requestTimeout: HEADERS_MS + Math.ceil(longestMs(Math.max(parts.maxBodyBytes, parts.files.limits.bytes))),
    connectionTimeout: Math.max(parts.callTimeoutMs, parts.generationTimeoutMs) + IDLE_MS,
    http: { headersTimeout: HEADERS_MS, connectionsCheckingInterval: CHECK_MS },
    // What the router cannot read is no path.
    frameworkErrors: (_: Error, request: FastifyRequest, reply: FastifyReply) =>
      errors.answer(new NotFoundException(), request, reply),
    skipMiddie: true,
  });
  const server = adapter.getInstance() as unknown as FastifyInstance;
  endQueuedAnswers(server);
  closeWhenAnswered(server);
  observeRequests(server, parts);
  lingerAfterEarlyAnswers(server);
  if (parts.corsOrigins.length > 0) await allowOrigins(server, parts.corsOrigins);
  routes.watch(server);
  parseBodies(server, parts.maxBodyBytes);
  guardRequests(server, parts, new EventUrls(parts.keys, parts.clock));
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
function guardRequests(server: FastifyInstance, { keys, maxBodyBytes }: Parts, urls: EventUrls): void {
  const permits = new Permits(maxBodyBytes);
  server.decorateRequest('permit', null);
  // Where no job came of it: an answer may take as long as its reader wants.
  server.addHook('onSend', (request, _reply, payload, done) => {
    request.permit?.endWork();
    done(null, payload);
  });
  server.addHook('onRequest', (request, reply, done) => {
    reply.header('X-Request-Id', request.id);
    try {
      if (keys.length === 0) requireLocalHost(request.headers.host);
      if (takesCalls(request.routeOptions.url)) {
        reply.header('Cache-Control', 'no-store');
        const permit = permits.take(tenantOf(request, keys, urls));
        request.permit = permit;
        // Comes once for every request, also where the caller hung up.
        reply.raw.once('close', () => permit.release());
        permit.begin().then(() => done(), done);
        return;
      }
      done();
    } catch (error) {
      done(error as Error);
    }
  });
}

/** A job's events are also open to whoever has their signed address. */
function tenantOf(request: FastifyRequest, keys: readonly ApiKey[], urls: EventUrls): Tenant {
  const { token } = request.query as { token?: unknown };
  if (keys.length === 0 || token === undefined || request.routeOptions.url !== EVENTS_ROUTE) {
    return authenticate(keys, request.headers.authorization);
  }
  return urls.tenantOf(String(token), (request.params as { id: string }).id);
}
