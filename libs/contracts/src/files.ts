/** `/v1/files`, as OpenAI has it: what is uploaded for batches, and what batches write. */
import { z } from 'zod';

/** Most bytes and lines of an upload, unless the server is set up for other limits; as OpenAI has them of batches. */
export const MAX_FILE_BYTES = 200_000_000;
export const MAX_FILE_LINES = 50_000;
/** Longest name of a file, in characters. */
export const MAX_FILENAME = 255;
/** Most files of one page of a list. */
export const MAX_LISTED_FILES = 10_000;

const MIN_EXPIRY_SECONDS = 3600;
/** Also how long an upload is kept that says nothing of it. */
export const MAX_EXPIRY_SECONDS = 30 * 24 * 3600;
const EXPIRY_FAULT = `give whole seconds from ${MIN_EXPIRY_SECONDS} to ${MAX_EXPIRY_SECONDS}`;

/** What files are for, as OpenAI names it. A list may ask for any of them; there are files of the first two. */
const PURPOSES = [
  ...['batch', 'batch_output', 'assistants', 'assistants_output', 'evals', 'fine-tune', 'fine-tune-results'],
  ...['user_data', 'vision'],
] as const;

/** `batch`: uploaded, the requests of a batch. `batch_output`: written by the service, what became of them. */
export type FilePurpose = 'batch' | 'batch_output';

const PURPOSE_FAULT = 'must be batch; other purposes are not supported';

/** The fields of an upload, beside the file itself. */
export const FileFields = z.strictObject({
  purpose: z
    .literal('batch', { error: ({ input }) => (input === undefined ? 'required' : PURPOSE_FAULT) })
    .describe('What the file is for. There are no other uses here.'),
  expires_after: z
    .strictObject({
      anchor: z
        .literal('created_at', { error: ({ input }) => (input === undefined ? 'required' : 'must be created_at') })
        .describe('From when it counts.'),
      seconds: z.coerce
        .number({ error: EXPIRY_FAULT })
        .int(EXPIRY_FAULT)
        .min(MIN_EXPIRY_SECONDS, EXPIRY_FAULT)
        .max(MAX_EXPIRY_SECONDS, EXPIRY_FAULT)
        .describe('How long the file is kept.'),
    })
    .optional()
    .describe(
      'When the file is deleted; 30 days after it was uploaded where left out. In the form: `expires_after[anchor]` and `expires_after[seconds]`.',
    ),
});
export type FileFields = z.infer<typeof FileFields>;

/** The form of an upload, for who reads about it. */
export const FileUpload = FileFields.extend({
  file: z.unknown().meta({
    type: 'string',
    format: 'binary',
    description: 'A file whose name ends with .jsonl: one request a line. Fields may come before or after it.',
  }),
});

const LIMIT_FAULT = `give a whole number from 1 to ${MAX_LISTED_FILES}`;

/** The query of `GET /v1/files`. */
export const FileQuery = z.strictObject({
  purpose: z.enum(PURPOSES).optional(),
  limit: z
    .string({ error: LIMIT_FAULT })
    .regex(/^\d{1,5}$/, LIMIT_FAULT)
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= MAX_LISTED_FILES, LIMIT_FAULT)
    .default(MAX_LISTED_FILES),
  order: z.enum(['asc', 'desc']).default('desc'),
  after: z
    .string()
    .regex(/^file-[0-9a-hjkmnp-tv-z]{26}$/, 'must be the id of a file')
    .optional(),
});
export type FileQuery = z.infer<typeof FileQuery>;

export interface FileView {
  readonly id: string;
  readonly object: 'file';
  readonly bytes: number;
  /** Unix seconds. */
  readonly created_at: number;
  /** Unix seconds; left out where it is kept until it is deleted. */
  readonly expires_at?: number;
  readonly filename: string;
  readonly purpose: FilePurpose;
  /** OpenAI's, deprecated and required. */
  readonly status: 'processed';
}

export interface FileList {
  readonly object: 'list';
  readonly data: readonly FileView[];
  /** Of this page; empty where it has none, since OpenAI's schema has no null here. */
  readonly first_id: string;
  readonly last_id: string;
  readonly has_more: boolean;
}

export interface DeletedFile {
  readonly id: string;
  readonly object: 'file';
  readonly deleted: true;
}
