/** Answers about files, as schemas; see answers.ts. */
import type { DeletedFile, FileList, FileView } from '@shoal/contracts';
import { z } from 'zod';
import { Count, ListSchema } from './answers.js';

const Id = z.string().describe('The id of the file.');
const What = z.literal('file').describe('What this is.');

export const FileSchema = z.strictObject({
  id: Id,
  object: What,
  bytes: Count.describe('How many bytes it has.'),
  created_at: z.int().describe('When its upload began, in Unix seconds.'),
  expires_at: z
    .int()
    .exactOptional()
    .describe('When it is deleted, in Unix seconds; left out where that is only when you delete it.'),
  filename: z.string().describe('As it was uploaded.'),
  purpose: z
    .enum(['batch', 'batch_output'])
    .describe('`batch`: you uploaded it; `batch_output`: what became of such a file.'),
  status: z.literal('processed').describe('There for the sake of clients that read it.'),
}) satisfies z.ZodType<FileView>;

export const FileListSchema = z.strictObject({
  object: ListSchema,
  data: z.array(FileSchema).describe('The files of this page.'),
  first_id: z.string().describe('The first of them; empty where there is none.'),
  last_id: z.string().describe('The last of them: `after` for the next page.'),
  has_more: z.boolean().describe('Whether there is another page.'),
}) satisfies z.ZodType<FileList>;

export const DeletedFileSchema = z.strictObject({
  id: Id,
  object: What,
  deleted: z.literal(true).describe('It is gone.'),
}) satisfies z.ZodType<DeletedFile>;

const FILE: FileView = {
  id: 'file-01m83zn5fqbsmkqgj7c913jd4z',
  object: 'file',
  bytes: 120_000,
  created_at: 1_767_605_400,
  expires_at: 1_770_197_400,
  filename: 'requests.jsonl',
  purpose: 'batch',
  status: 'processed',
};

export const FILE_EXAMPLES = {
  File: FILE,
  FileList: { object: 'list', data: [FILE], first_id: FILE.id, last_id: FILE.id, has_more: false },
  DeletedFile: { id: FILE.id, object: 'file', deleted: true },
} as const;
