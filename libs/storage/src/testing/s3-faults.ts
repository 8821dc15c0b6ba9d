/** Ways in which a server with the shape of S3 fails, and what is told of it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect } from 'vitest';

/** For servers that say nothing. What they do answer they have to have time for. */
export const HASTE = { headMs: 2000, stallMs: 300, tries: 2 };
export const refusal = (message: RegExp, code = 'storage_unavailable') =>
  expect.objectContaining({ name: 'ShoalError', code, message: expect.stringMatching(message) });

/** What it returns is nothing, or false: the server may answer by itself. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

export const isPart = ({ url = '' }: IncomingMessage) => url.includes('partNumber=');
export const isJoin = ({ method, url = '' }: IncomingMessage) => method === 'POST' && url.includes('uploadId=');
export const isGet = ({ method, url = '' }: IncomingMessage) => method === 'GET' && !url.includes('list-type');

export const xml = (code: string) =>
  `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>no</Message></Error>`;
export const refuse = (response: ServerResponse, status: number, code: string) =>
  void response.writeHead(status, { 'content-type': 'application/xml' }).end(xml(code));

/** The answer to requests that `matches`. */
export function answerTo(matches: (request: IncomingMessage) => boolean, answer: Answer) {
  return (request: IncomingMessage, response: ServerResponse): boolean =>
    matches(request) && answer(request, response) !== false;
}
