/** The classes that transformers has of each family of decoders, by what stands on top of the trunk. */
import type { Architecture, BuildRequest } from '../architectures/types.js';
import type { DecoderConfig } from './config.js';
import { buildDecoder } from './graph.js';
import type { Traits } from './traits.js';
import { buildWhole } from './whole.js';

/** What config.json says, and how the family is built. @throws ShoalError `model_invalid` naming the field that is not supported */
export type ReadFamily = (request: BuildRequest) => { readonly config: DecoderConfig; readonly traits: Traits };

/** Names of the classes; those that are left out begin with `name`. */
export interface FamilyNames {
  readonly name: string;
  readonly trunk?: string;
  readonly classifier?: string;
}

export function decoderFamily(
  { name, trunk = `${name}Model`, classifier = `${name}ForSequenceClassification` }: FamilyNames,
  read: ReadFamily,
): Readonly<Record<string, Architecture>> {
  const whole = (head: Parameters<typeof buildWhole>[3]) => (request: BuildRequest) => {
    const { config, traits } = read(request);
    return buildWhole(request, config, traits, head);
  };
  return {
    [`${name}ForCausalLM`]: {
      task: 'text-generation',
      trunk,
      build(request) {
        if (request.whole) return whole('logits')(request);
        const { config, traits } = read(request);
        return buildDecoder(request, config, traits);
      },
      buildJudge: whole('judge'),
    },
    [trunk]: { task: 'feature-extraction', build: whole('none') },
    [classifier]: { task: 'text-classification', build: whole('texts') },
  };
}
