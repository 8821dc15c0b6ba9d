/** The part of the document that is about files. */
import { type Operations, type Parameter, query } from './operation.js';

const ID: Parameter = {
  in: 'path',
  name: 'id',
  description: 'The id of the file.',
  schema: { type: 'string' },
  example: 'file-01m83zn5fqbsmkqgj7c913jd4z',
};
const ERRORS = ['files_unavailable', 'redis_unavailable', 'invalid_request'] as const;
const FILE_ERRORS = ['file_not_found', ...ERRORS] as const;
const face = 'openai' as const;

export const FILE_OPERATIONS: Operations = {
  '/v1/files': {
    post: {
      id: 'createFile',
      tag: 'OpenAI',
      summary: 'Upload a file',
      description:
        'A form with the file and what it is for, in any order. With an Idempotency-Key a repeat of the upload is the same file.',
      parameters: [
        {
          in: 'header',
          name: 'Idempotency-Key',
          description: 'Up to 200 printable ASCII characters; it stands as long as the file does.',
          schema: { type: 'string' },
        },
      ],
      body: {
        mediaType: 'multipart/form-data',
        schemas: ['FileUpload'],
        examples: { batch: { purpose: 'batch', file: 'requests.jsonl' } },
      },
      answers: { 200: { description: 'The file.', schemas: ['File'] } },
      errors: [
        ...(['file_too_large', 'limit_reached', 'idempotency_conflict', 'memory_full'] as const),
        ...(['storage_full', 'storage_unavailable', ...ERRORS] as const),
      ],
      face,
    },
    get: {
      id: 'listFiles',
      tag: 'OpenAI',
      summary: 'List files',
      description: 'Your files, the newest first unless `order` says otherwise.',
      parameters: [
        query('purpose', 'Only files for this.', { type: 'string' }),
        query('limit', 'Most files of the page: 1 to 10,000.', { type: 'integer', minimum: 1, maximum: 10_000 }),
        query('order', 'By when they were uploaded.', { enum: ['asc', 'desc'] }),
        query('after', 'The id of a file: those that come after it.', { type: 'string' }),
      ],
      answers: { 200: { description: 'A page of them.', schemas: ['FileList'] } },
      errors: ERRORS,
      face,
    },
  },
  '/v1/files/{id}': {
    get: {
      id: 'getFile',
      tag: 'OpenAI',
      summary: 'Read what there is to know of a file',
      description: 'Its name, size and times, without what it holds.',
      parameters: [ID],
      answers: { 200: { description: 'The file.', schemas: ['File'] } },
      errors: FILE_ERRORS,
      face,
    },
    delete: {
      id: 'deleteFile',
      tag: 'OpenAI',
      summary: 'Delete a file',
      description: 'It is gone for everybody at once.',
      parameters: [ID],
      answers: { 200: { description: 'It is gone.', schemas: ['DeletedFile'] } },
      errors: FILE_ERRORS,
      face,
    },
  },
  '/v1/files/{id}/content': {
    get: {
      id: 'getFileContent',
      tag: 'OpenAI',
      summary: 'Read what a file holds',
      description: 'All of it, or the range that a Range header asks for. HEAD tells how long it is.',
      parameters: [
        ID,
        { in: 'header', name: 'Range', description: 'One range: `bytes=0-999`.', schema: { type: 'string' } },
      ],
      answers: {
        200: {
          description: 'The bytes of the file.',
          text: { mediaType: 'application/octet-stream', example: '{"custom_id":"a"}\n' },
          headers: { ETag: 'What to send as If-Range.', 'Content-Disposition': "The file's name." },
        },
        206: {
          description: 'The range that was asked for.',
          text: { mediaType: 'application/octet-stream', example: '{"cus' },
          headers: { 'Content-Range': 'Which bytes, and of how many.' },
        },
      },
      errors: ['range_not_satisfiable', 'storage_unavailable', ...FILE_ERRORS],
      face,
    },
  },
};
