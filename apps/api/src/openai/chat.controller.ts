/** `/v1/chat/completions`, as OpenAI has it: answers to conversations. */
import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import { CHAT, readChat } from '@shoal/intake';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { requireBody } from '../http/body.js';
import { CurrentPermit, type Permit } from '../http/permit.js';
import { type Removed, TextCalls } from './text-calls.js';

@Controller('v1/chat/completions')
export class ChatController {
  constructor(@Inject(TextCalls) private readonly calls: TextCalls) {}

  @Post()
  @HttpCode(200)
  async create(
    @CurrentPermit() permit: Permit,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    requireBody(body);
    await this.calls.create(CHAT, readChat(body), { permit, request, reply });
  }

  /** A kept one: whole, or as a stream from what its reader had last. */
  @Get(':id')
  async read(
    @CurrentPermit() permit: Permit,
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.calls.read(CHAT, id, { permit, request, reply });
  }

  @Delete(':id')
  @HttpCode(200)
  remove(@CurrentPermit() permit: Permit, @Param('id') id: string): Promise<Removed> {
    return this.calls.remove(CHAT, id, permit);
  }
}
