/** The plain precisions, as an import makes them: weights rounded, without a look at any text. */
import { statSync } from 'node:fs';
import { buildFrom, openServed, precisionOf } from '@shoal/importer';
import type { Candidate, Made, Method, Subject } from '../types.js';
import { withoutFloats } from './without-floats.js';

/** Bytes of weights in 32 bits that one core rounds in a second, the search for scales included. */
const BYTES_PER_SECOND = 4 * 15e6;
const LEAST_SECONDS = 3;

interface Dtypes {
  readonly encoder: readonly string[];
  readonly decoder: readonly string[];
}

export const fp16: Method = {
  name: 'fp16',
  description: '16-bit floats, for GPUs',
  stage: 'precision',
  async plan() {
    return 'processors widen 16-bit floats when they load them, which makes nothing faster; for GPUs: shoal import --dtype fp16';
  },
  async make() {
    throw new RangeError('fp16 plans nothing');
  },
};

export const int8 = rounding('int8', '8-bit integers', { encoder: ['int8'], decoder: ['int8'] });

/** Of decoders those with larger losses at the end. */
export const int4 = rounding('int4', '4-bit integers in blocks', {
  encoder: ['int4'],
  decoder: ['int4-h8', 'int4-b128', 'int4'],
});

function rounding(name: string, description: string, dtypes: Dtypes): Method {
  return {
    name,
    description,
    stage: 'precision',
    async plan(subject: Subject): Promise<readonly Candidate[] | string> {
      const { original, path } = subject;
      const without = withoutFloats(original);
      if (without !== undefined) return without;
      openServed(original.folder, path);
      const bytes = statSync(path).size + (statSync(`${path}.data`, { throwIfNoEntry: false })?.size ?? 0);
      const seconds = LEAST_SECONDS + bytes / BYTES_PER_SECOND;
      return dtypes[kindOf(subject)].map((dtype) => ({ method: name, variant: dtype, settings: { dtype }, seconds }));
    },
    async make({ settings }, subject, path): Promise<Made> {
      const { folder } = subject.original;
      const { config, checkpoint } = openServed(folder, subject.path);
      const precision = precisionOf(String(settings.dtype), kindOf(subject));
      buildFrom({ folder, config, checkpoint, precision, path });
      return { method: precision.name, notes: [] };
    },
  };
}

function kindOf({ original }: Subject): keyof Dtypes {
  return original.task === 'text-generation' ? 'decoder' : 'encoder';
}
