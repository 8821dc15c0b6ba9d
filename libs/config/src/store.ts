/** The variables that say where files are kept: the same ones for every process that has to do with them. */
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { z } from 'zod';
import { text, url } from './variables.js';

const FORM = 'file:///folder, s3://bucket/prefix, or none';
const DEFAULT_FOLDER = '.shoal/files';

/** To be spread into a schema. */
export const storeVariables = {
  /** `file:///folder`, `s3://bucket/prefix`, or `none`: no files are kept. A folder of this machine where left out. */
  SHOAL_STORE: storeUrl().optional(),
  /** Names that others have given: tools of AWS read them as well. */
  AWS_ENDPOINT_URL_S3: url().optional(),
  AWS_ENDPOINT_URL: url().optional(),
  AWS_REGION: text().optional(),
  AWS_DEFAULT_REGION: text().optional(),
};

export interface StoreVariables {
  readonly SHOAL_STORE?: string | undefined;
  readonly AWS_ENDPOINT_URL_S3?: string | undefined;
  readonly AWS_ENDPOINT_URL?: string | undefined;
  readonly AWS_REGION?: string | undefined;
  readonly AWS_DEFAULT_REGION?: string | undefined;
}

/** As libs/storage takes it. */
export interface StoreSettings {
  /** Null: no files are kept. */
  readonly url: string | null;
  readonly s3: { readonly endpoint: string | undefined; readonly region: string | undefined };
}

export function storeSettings(variables: StoreVariables): StoreSettings {
  const { SHOAL_STORE: store = pathToFileURL(resolve(DEFAULT_FOLDER)).href } = variables;
  return {
    url: store === 'none' ? null : store,
    s3: {
      endpoint: variables.AWS_ENDPOINT_URL_S3 ?? variables.AWS_ENDPOINT_URL,
      region: variables.AWS_REGION ?? variables.AWS_DEFAULT_REGION,
    },
  };
}

/** Messages show nothing of the value: it may hold a secret that does not belong there. */
export function storeUrl() {
  return z.string().superRefine((value, context) => {
    const fault = findFault(value);
    if (fault !== null) context.addIssue({ code: 'custom', message: fault });
  });
}

/** What is wrong with it; null where nothing is. */
function findFault(value: string): string | null {
  if (value === 'none') return null;
  if (/^file:/.test(value)) return findFaultOfFolder(value);
  if (!/^s3:\/\//.test(value)) return `must be ${FORM}`;
  if (value.includes('@')) {
    return 'must have no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE';
  }
  const [bucket = '', ...prefix] = value.slice('s3://'.length).replace(/\/+$/, '').split('/');
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
    return 'must name a bucket of 3 to 63 lower-case letters, digits, "." and "-": s3://bucket/prefix';
  }
  const plain = prefix.every((name) => /^[\w.-]{1,200}$/.test(name) && name !== '.' && name !== '..');
  if (plain && prefix.join('/').length <= 500) return null;
  return 'must have a prefix of letters, digits, ".", "_", "-" and "/": s3://bucket/prefix';
}

function findFaultOfFolder(value: string): string | null {
  if (!/^file:\/\/\/[^/]/.test(value)) return 'must be file:/// and a path from the root: file:///var/lib/shoal/files';
  if (/[?#\s\p{Cc}]/u.test(value)) return 'must have ?, # and spaces percent-encoded (%3F, %23, %20)';
  try {
    fileURLToPath(value);
    return null;
  } catch {
    return 'has a % that is no percent-encoding, or one of a /: write % as %25';
  }
}
