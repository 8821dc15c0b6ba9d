/** `/v1/files`, as OpenAI has it. */
import {
  Controller,
  Delete,
  Get,
  HttpCode,
  Inject,
  Param,
  Post,
  Query,
  Req,
  Res,
  type StreamableFile,
} from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { type DeletedFile, type FileList, FileQuery, type FileView, parse, ShoalError } from '@shoal/contracts';
import type { FileRecord, Tenant } from '@shoal/queue';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { FailureLog } from '../http/failure-log.js';
import { jsonStream } from '../http/json-stream.js';
import { refuseQuery } from '../http/no-query.js';
import { CurrentPermit, type Permit } from '../http/permit.js';
import { CurrentTenant } from '../http/tenant.js';
import { readIdempotencyKey } from '../jobs/idempotency.js';
import { contentOf } from './content.js';
import { FILE_PARTS, type FileParts, type Kept } from './parts.js';
import { Uploads } from './uploads.js';

/** Files of a list from which on it is written piece by piece. */
const LARGE_LIST = 200;

@Controller('v1/files')
export class FilesController {
  constructor(
    @Inject(FILE_PARTS) private readonly parts: FileParts,
    @Inject(FailureLog) private readonly failures: FailureLog,
  ) {}

  @Post()
  @HttpCode(200)
  @RouteConfig({ streamsBody: true })
  async create(
    @CurrentPermit() permit: Permit,
    @Query() query: unknown,
    @Req() request: FastifyRequest,
  ): Promise<FileView> {
    refuseQuery(query);
    const { raw } = request;
    const uploads = new Uploads(this.kept, this.parts.limits);
    return viewOf(await uploads.receive({ permit, raw, idempotencyKey: readIdempotencyKey(request) }));
  }

  @Get()
  async list(
    @CurrentPermit() permit: Permit,
    @Query() query: unknown,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<FileList | StreamableFile> {
    const { records } = this.kept;
    const filter = parse(FileQuery, { ...(query as object) });
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const end = await permit.listing();
    const { files, more } = await records.list(permit.tenant.name, filter, gone.signal).finally(end);
    const data = files.map(viewOf);
    const list: FileList = {
      object: 'list',
      data,
      first_id: data[0]?.id ?? '',
      last_id: data.at(-1)?.id ?? '',
      has_more: more,
    };
    if (data.length < LARGE_LIST) return list;
    return jsonStream(reply, list, permit.resultAtOnce() ?? (await permit.result()));
  }

  @Get(':id')
  async get(
    @CurrentTenant() { name: tenant }: Tenant,
    @Param('id') id: string,
    @Query() query: unknown,
  ): Promise<FileView> {
    refuseQuery(query);
    return viewOf(await this.kept.records.find({ tenant, id }));
  }

  @Get(':id/content')
  async content(
    @CurrentPermit() permit: Permit,
    @Param('id') id: string,
    @Query() query: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StreamableFile> {
    refuseQuery(query);
    const { records, store } = this.kept;
    permit.transfer();
    const file = await records.open({ tenant: permit.tenant.name, id });
    return contentOf(file, store, this.failures, request, reply);
  }

  /** What the store has of it goes within seconds (sweeper.ts). */
  @Delete(':id')
  async remove(@CurrentTenant() { name: tenant }: Tenant, @Param('id') id: string): Promise<DeletedFile> {
    await this.kept.records.remove({ tenant, id });
    return { id, object: 'file', deleted: true };
  }

  /** Throws `files_unavailable`. */
  private get kept(): Kept {
    const { kept } = this.parts;
    if (kept !== null) return kept;
    throw new ShoalError('files_unavailable', 'Whoever runs this server has to set SHOAL_STORE first.');
  }
}

function viewOf({ id, bytes, createdAt, expiresAt, filename, purpose }: FileRecord): FileView {
  return {
    id,
    object: 'file',
    bytes,
    created_at: Math.floor(createdAt / 1000),
    ...(expiresAt !== null && { expires_at: Math.floor(expiresAt / 1000) }),
    filename,
    purpose,
    status: 'processed',
  };
}
