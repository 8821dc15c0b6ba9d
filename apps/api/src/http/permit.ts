/**
 * Permits: what one request may hold of this process. One is taken before anything of the body is read, is handed on as
 * an argument to whatever works for the request, and ends with the connection's part in it, however that ends.
 */
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ShoalError } from '@shoal/contracts';
import type { Tenant } from '@shoal/queue';
import type { FastifyRequest } from 'fastify';
import { Company } from './company.js';
import { Lanes, type Leave } from './lanes.js';
import { SharedBudget } from './shared-budget.js';

/** Most open requests, waits and streams among them, of all tenants: some 30 kB each. */
const MAX_OPEN = 8192;
/** Most bodies of full size that are in the process: one takes about ten times its bytes while it is worked on. */
const MAX_FULL_BODIES = 16;
/** Files that are on their way in or out at once, of all tenants: an upload holds 15 MiB, each a connection to the store. */
const MAX_TRANSFERS = 32;
/** Bytes of bodies that are parsed, checked and tokenised at once: what comes next waits for some 20 ms of them. */
const WORKING_BYTES = 128 * 1024;
const WORKING_BYTES_PER_TENANT = 32 * 1024;
/** Requests of a tenant beside others that begin in one turn of the event loop: what comes next waits for some 3 ms of them. */
const BEGIN_PER_TENANT = 8;
/** Lists look at thousands of records, and Redis does nothing else meanwhile. */
const LISTS_PER_TENANT = 1;
/** Large results that are read and written out at once, each of up to 8 MiB in Redis. */
const RESULT_LANES = 8;
const RESULT_LANES_PER_TENANT = 2;
/**
 * Who is not alone rests after work for as many times what it took: it holds the event loop, cores and Redis. Of a process
 * that has nothing else to do, one tenant takes a third, or a quarter. How long a result takes is its reader's doing.
 */
const REST = { working: 2, lists: 3, results: 0 };
/** Longest rest in ms. */
const MAX_REST_MS = 1000;
/** Seconds after which a tenant may have room again: most requests take less. */
const RETRY_AFTER = 1;

interface Shared {
  readonly open: SharedBudget;
  readonly bytes: SharedBudget;
  readonly transfers: SharedBudget;
  readonly company: Company;
  readonly begin: Lanes;
  readonly lanes: Readonly<Record<keyof typeof REST, Lanes>>;
}

export class Permits {
  readonly #shared: Shared;

  /** `maxBodyBytes`: of one request. */
  constructor(maxBodyBytes: number) {
    this.#shared = {
      open: new SharedBudget(MAX_OPEN),
      bytes: new SharedBudget(MAX_FULL_BODIES * maxBodyBytes),
      transfers: new SharedBudget(MAX_TRANSFERS),
      company: new Company(() => performance.now()),
      begin: new Lanes(MAX_OPEN, BEGIN_PER_TENANT),
      lanes: {
        working: new Lanes(WORKING_BYTES, WORKING_BYTES_PER_TENANT),
        lists: new Lanes(MAX_OPEN, LISTS_PER_TENANT),
        results: new Lanes(RESULT_LANES, RESULT_LANES_PER_TENANT),
      },
    };
  }

  /** Throws `too_many_requests` where the tenant has too many open. */
  take(tenant: Tenant): Permit {
    if (!this.#shared.open.take(tenant.name, 1)) throw tooMany('requests');
    this.#shared.company.note(tenant.name);
    return new Permit(tenant, this.#shared);
  }
}

export class Permit {
  #bytes = 0;
  #transfers = 0;
  #open = true;
  #endWork: (() => void) | undefined;

  constructor(
    readonly tenant: Tenant,
    private readonly shared: Shared,
  ) {}

  /** Counts bytes of the body, until `release`. Throws `too_many_requests` where the tenant's bodies hold too much. */
  hold(bytes: number): void {
    if (!this.#open) throw hungUp();
    if (!this.shared.bytes.take(this.tenant.name, bytes)) throw tooMany('bytes of request bodies');
    this.#bytes += bytes;
  }

  /** Counts as a file that is on its way, until `release`. Throws `too_many_requests` where the tenant has too many. */
  transfer(): void {
    if (!this.#open) throw hungUp();
    if (!this.shared.transfers.take(this.tenant.name, 1)) throw tooMany('files');
    this.#transfers += 1;
  }

  /**
   * Resolves when the request may begin, which is at once where the tenant is alone: however many of a tenant come together,
   * those of others have their turns between.
   * Throws `cancelled` where its caller has gone by then.
   */
  async begin(): Promise<void> {
    if (!this.shared.company.besides(this.tenant.name)) return;
    const leave = await this.shared.begin.enter(this.tenant.name);
    setImmediate(leave);
    if (!this.#open) throw hungUp();
  }

  /**
   * Resolves when the body may be parsed, checked and tokenised, until `endWork`. At once where it is worked on already; one
   * call at a time.
   */
  async startWork(): Promise<void> {
    this.#endWork ??= await this.enter('working', this.#bytes);
  }

  /** What comes of the body is with the queue, or refused. Safe to call again. */
  endWork(): void {
    this.#endWork?.();
    this.#endWork = undefined;
  }

  /** Resolves when the tenant's jobs may be looked through, to the function that ends that. */
  listing(): Promise<() => void> {
    return this.enter('lists', 1);
  }

  /** Resolves when a large result of the tenant may be read and written out, to the function that ends that. */
  result(): Promise<() => void> {
    return this.enter('results', 1);
  }

  /** As `result`, or null where that would have to wait. */
  resultAtOnce(): (() => void) | null {
    const leave = this.shared.lanes.results.enterAtOnce(this.tenant.name);
    return leave && this.thenRest('results', leave);
  }

  /** Gives everything back. Safe to call again. */
  release(): void {
    if (!this.#open) return;
    this.#open = false;
    this.endWork();
    this.shared.open.give(this.tenant.name, 1);
    this.shared.bytes.give(this.tenant.name, this.#bytes);
    this.shared.transfers.give(this.tenant.name, this.#transfers);
  }

  private async enter(kind: keyof typeof REST, size: number): Promise<() => void> {
    const lanes = this.shared.lanes[kind];
    const leave = lanes.enterAtOnce(this.tenant.name, size) ?? (await lanes.enter(this.tenant.name, size));
    if (this.#open) return this.thenRest(kind, leave);
    leave();
    throw hungUp();
  }

  private thenRest(kind: keyof typeof REST, leave: Leave): () => void {
    const started = performance.now();
    return () => {
      const rest = this.shared.company.besides(this.tenant.name) ? REST[kind] * (performance.now() - started) : 0;
      leave(Math.min(rest, MAX_REST_MS));
    };
  }
}

function hungUp(): ShoalError {
  return new ShoalError('cancelled', 'the caller hung up');
}

function tooMany(what: string): ShoalError {
  const detail = `too many ${what} of yours are under way; repeat the request when some of them are answered`;
  return new ShoalError('too_many_requests', detail, { retryAfter: RETRY_AFTER });
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before the body is read, on every route that belongs to a tenant. */
    permit: Permit | null;
  }
}

/** The permit of the request, as a handler's parameter. */
export const CurrentPermit = createParamDecorator((_: unknown, context: ExecutionContext): Permit => {
  const { permit } = context.switchToHttp().getRequest<FastifyRequest>();
  if (permit === null) throw new Error('this route was served without a permit');
  return permit;
});
