/** `shoal jobs`: which jobs a running server has, how one stands, what happens to it, and cancelling. */
import { setTimeout as wait } from 'node:timers/promises';
import { isTerminal, type JobState, type JobSummary, type JobView } from '@shoal/contracts';
import { UserError } from '@shoal/tools/user-error';
import type { Config } from './config.js';
import { followJob } from './follow-job.js';
import { jsonOf, printable } from './printable.js';
import { Refused } from './refused.js';
import { openServer, type Server, type ServerOptions } from './server.js';
import { Interrupted, untilSignal } from './signals.js';
import { table } from './table.js';

/** What `shoal jobs` was asked for. */
export type JobsRequest = ServerOptions & { readonly json: boolean; readonly quiet: boolean } & (
    | {
        readonly what: 'ls';
        readonly status: JobState | undefined;
        /** Its name, of whatever version. */
        readonly model: string | undefined;
        readonly limit: number;
        /** However many there are. */
        readonly all: boolean;
      }
    | { readonly what: 'get'; readonly id: string; readonly wait: boolean }
    | { readonly what: 'follow'; readonly id: string }
    | { readonly what: 'cancel'; readonly ids: readonly string[] }
  );

type Say = (line: string) => void;

/** Most jobs of one answer. */
const PAGE = 100;
/** Longest time in seconds that one call waits for a job. */
const WAIT = 60;
/** Pause in ms before a job is asked for again whose wait ended early, as where the server stops. */
const PAUSE_MS = 250;

/** @throws UserError in one line for what is wrong, Refused where the job has failed, Interrupted behind a signal */
export async function manageJobs(request: JobsRequest, config: Config, say: Say = console.log): Promise<void> {
  const server = openServer(config, request, (line) => console.error(`shoal: ${line}`));
  const reasonOf = (signal: NodeJS.Signals) => new Interrupted(signal, 'stopped; jobs go on.');
  await untilSignal(reasonOf, async (signal) => {
    switch (request.what) {
      case 'ls':
        return await listJobs(server, request, signal, say);
      case 'get':
        return await showJob(server, request, signal, say);
      case 'follow':
        return await followEvents(server, request, signal, say);
      case 'cancel':
        return await cancelJobs(server, request, signal, say);
    }
  });
}

type Of<What extends JobsRequest['what']> = Extract<JobsRequest, { what: What }>;

async function listJobs(server: Server, request: Of<'ls'>, signal: AbortSignal, say: Say): Promise<void> {
  const { status, model, limit, all } = request;
  let left = all ? Number.POSITIVE_INFINITY : limit;
  let cursor: string | null | undefined;
  do {
    const query = new URLSearchParams({ limit: String(Math.min(left, PAGE)) });
    for (const [name, value] of Object.entries({ status, model, cursor })) if (value) query.set(name, value);
    const reply = await server.ask('GET', `/v1/jobs?${query}`, { signal, patience: 'busy' });
    const { data, next_cursor: next } = reply.body as { data: readonly JobSummary[]; next_cursor: string | null };
    for (const line of linesOf(data, request, cursor === undefined)) say(line);
    left -= data.length;
    // A page that does not lead on is the last one, whatever it says.
    if (data.length === 0 || next === cursor) break;
    cursor = next;
  } while (cursor !== null && left > 0);
}

function linesOf(jobs: readonly JobSummary[], { json, quiet }: JobsRequest, first: boolean): readonly string[] {
  if (quiet) return jobs.map(({ id }) => printable(id));
  if (json) return jobs.map(jsonOf);
  if (jobs.length === 0) return first ? ['no jobs'] : [];
  const header = first ? [['id', 'status', 'model', 'done', 'failed', 'created', 'took']] : [];
  const rows = jobs.map((job) => [
    ...[job.id, job.status, modelOf(job), `${job.items.done}/${job.items.total}`, String(job.items.failed)],
    ...[job.created_at, tookOf(job)],
  ]);
  return table([...header, ...rows.map((row) => row.map(printable))]);
}

async function showJob(server: Server, request: Of<'get'>, signal: AbortSignal, say: Say): Promise<void> {
  const path = `/v1/jobs/${encodeURIComponent(request.id)}`;
  const read = async (query: string) => {
    const patience = request.wait ? 'all' : 'busy';
    return (await server.ask('GET', `${path}${query}`, { signal, patience })).body as JobView;
  };
  let job = await read(request.wait ? `?wait=${WAIT}` : '');
  while (request.wait && !isTerminal(job.status)) {
    await wait(PAUSE_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    job = await read(`?wait=${WAIT}`);
  }
  if (request.quiet) say(job.id);
  else if (request.json) say(jsonOf(job));
  else for (const line of table(rowsOf(job))) say(line);
  refuseFailed(job);
}

function rowsOf(job: JobView): readonly (readonly string[])[] {
  const { items, error, errors, queue, output } = job;
  const rows = [
    ...[
      ['id', job.id],
      ['status', job.status],
      ['model', modelOf(job)],
      ['task', job.task],
    ],
    ...[
      ['priority', job.priority],
      ['items', `${items.done} of ${items.total} done, ${items.failed} failed`],
    ],
    ...[
      ['created', job.created_at],
      ['started', job.started_at ?? '-'],
      ['ended', job.ended_at ?? '-'],
    ],
    ...[
      ['took', tookOf(job)],
      ['expires', job.expires_at ?? '-'],
      ['input tokens', String(job.usage.input_tokens)],
    ],
  ];
  if (queue !== null)
    rows.push(['place', `${queue.position}, starts ${queue.expected_start_at ?? 'at a time not known'}`]);
  for (const [name, value] of Object.entries(job.metadata)) rows.push([`metadata ${name}`, value]);
  if (error !== null) rows.push(['error', `${error.code}: ${error.detail}`]);
  for (const { index, code, detail } of errors) rows.push([`error of ${index}`, `${code}: ${detail}`]);
  if (output !== null) rows.push(['output', JSON.stringify(output)]);
  return rows.map((row) => row.map(printable));
}

async function followEvents(server: Server, request: Of<'follow'>, signal: AbortSignal, say: Say): Promise<void> {
  let last: unknown;
  for await (const { type, data, lastId } of followJob(server, request.id, signal)) {
    last = data;
    if (request.quiet) continue;
    if (request.json) say(jsonOf({ event: type, id: lastId, data }));
    else say(`${printable(type)}  ${printable(wordsOf(type, data))}`);
  }
  if (request.quiet) say(request.id);
  const job = last as Partial<JobView> | undefined;
  if (job?.status === undefined) throw new Refused(`the job ${request.id} was deleted.`);
  refuseFailed(job as JobView);
}

/** What an event tells, in short. */
function wordsOf(type: string, data: unknown): string {
  const fields = (data ?? {}) as Readonly<Record<string, unknown>>;
  if (type === 'job.queued') return String(fields.created_at);
  if (type === 'job.started') return String(fields.started_at);
  if (type === 'job.progress') return `${fields.done} of ${fields.total} done, ${fields.failed} failed`;
  if (type === 'job.text' || type === 'job.output') return JSON.stringify(data);
  const { items, ended_at: ended, output, error } = data as Partial<JobView>;
  if (items === undefined) return '';
  const told = error ?? output;
  return `${ended} ${items.done} of ${items.total} done, ${items.failed} failed${told ? `  ${JSON.stringify(told)}` : ''}`;
}

/** @throws UserError behind all of them, where one cannot be cancelled */
async function cancelJobs(server: Server, request: Of<'cancel'>, signal: AbortSignal, say: Say): Promise<void> {
  let missing = 0;
  for (const id of request.ids) {
    const path = `/v1/jobs/${encodeURIComponent(id)}/cancel`;
    const reply = await server.ask('POST', path, { signal, patience: 'busy', good: [200, 404] });
    if (reply.status === 404) {
      missing += 1;
      console.error(`shoal: ${id}: ${server.refusal(reply).message}`);
      continue;
    }
    const job = reply.body as JobView;
    if (request.quiet) say(id);
    else if (request.json) say(jsonOf(job));
    else say(`${id}  ${job.status === 'cancelled' ? 'cancelled' : `had ended: ${job.status}`}`);
  }
  if (missing > 0) throw new UserError(`${missing} of ${request.ids.length} are no jobs.`);
}

function modelOf({ model, version, variant }: JobSummary): string {
  return `${model}@${version}:${variant}`;
}

/** From its submission to its end. */
function tookOf({ created_at: created, ended_at: ended }: JobSummary): string {
  return ended === null ? '-' : `${((Date.parse(ended) - Date.parse(created)) / 1000).toFixed(2)} s`;
}

/** @throws Refused where it has ended without all that it was to give */
function refuseFailed({ id, status, items }: JobView): void {
  if (isTerminal(status) && status !== 'completed') throw new Refused(`the job ${id} is ${status}.`);
  if (items.failed > 0) throw new Refused(`${items.failed} of ${items.total} inputs of the job ${id} have failed.`);
}
