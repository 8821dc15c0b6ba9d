/** The path of a job through the API, between what its request may hold of the process and what its caller sees. */
import type { StreamableFile } from '@nestjs/common';
import { type JobRecord, type JobSummary, type JobView, type Joining, ShoalError } from '@shoal/contracts';
import type { Allowed, Catalog, Intake, Submission } from '@shoal/intake';
import { isLarge, type Model, type Presenter, summaryOf, viewOf } from '@shoal/models';
import { type Admitted, drawOf, type JobStore, newUlid, type QueuePlace } from '@shoal/queue';
import type { FastifyReply } from 'fastify';
import { jsonStream } from '../http/json-stream.js';
import type { Permit } from '../http/permit.js';

export class JobsService {
  constructor(
    readonly store: JobStore,
    private readonly catalog: Catalog,
    private readonly intake: Intake,
    private readonly clock: () => number,
  ) {}

  /** Admits one job; throws why not. `watch`: the caller goes on to wait for it. */
  async submit(permit: Permit, submission: Submission, options: { watch: boolean }): Promise<Admitted> {
    const [outcome] = await this.submitAll(permit, [submission], options);
    if (outcome === undefined || outcome instanceof ShoalError) throw outcome;
    return outcome;
  }

  /** Admits each job by itself: what was admitted or why not, in order. */
  async submitAll(
    permit: Permit,
    submissions: readonly Submission[],
    options = { watch: false },
  ): Promise<(Admitted | ShoalError)[]> {
    await permit.startWork();
    const encoded = await this.intake.encodeAll(submissions).finally(() => permit.endWork());
    // After it: names are looked up only for jobs that can run, and that may take seconds.
    return this.intake.admitAll(permit.tenant, encoded, options);
  }

  /** The job as its caller sees it. */
  async answer(permit: Permit, reply: FastifyReply, read: () => Promise<JobRecord>): Promise<JobView | StreamableFile> {
    let queue: JobView['queue'] = null;
    const readBoth = async () => {
      const record = await read();
      if (record.state === 'queued') queue = placeView(await this.store.place(permit.tenant.name, record.id));
      return record;
    };
    return this.answerAs(permit, reply, readBoth, (record) => viewOf(record, this.presenterOf(record), queue));
  }

  /** What `show` makes of the record; where it is large, as a stream and when it is the tenant's turn. */
  async answerAs<Shown>(
    permit: Permit,
    reply: FastifyReply,
    read: () => Promise<JobRecord>,
    show: (record: JobRecord) => Shown,
  ): Promise<Shown | StreamableFile> {
    let record: JobRecord | null = await read();
    if (!isLarge(record)) return show(record);
    const { id } = record;
    let end = permit.resultAtOnce();
    if (end === null) {
      // Read again when it is: those who wait hold nothing.
      record = null;
      end = await permit.result();
    }
    try {
      record ??= await this.store.get(permit.tenant.name, id);
      return jsonStream(reply, show(record), end);
    } catch (error) {
      end();
      throw error;
    }
  }

  /** For jobs that have to run on the same: the name that asks for what `model` stands for, this time, where so much is allowed. */
  pin(model: string, allowed: Allowed): string {
    const named = this.catalog.choose(model, drawOf(newUlid(this.clock())), allowed.loss);
    return this.catalog.within(named, allowed).selector ?? model;
  }

  /** Undefined where the version that the job ran on has gone long since. */
  presenterOf({ meta }: JobRecord): Presenter | undefined {
    return this.catalog.presenter(meta.model, meta.version);
  }

  summary(record: JobRecord): JobSummary {
    return summaryOf(record);
  }

  /** What workers proved of the model's rows; null where none has loaded it, or Redis is away. */
  async joiningOf({ queue }: Model): Promise<Joining | null> {
    return await this.store.joining(queue).catch(() => null);
  }
}

function placeView(place: QueuePlace | null): JobView['queue'] {
  if (place === null) return null;
  const { position, startsAt } = place;
  return { position, expected_start_at: startsAt === null ? null : new Date(startsAt).toISOString() };
}
