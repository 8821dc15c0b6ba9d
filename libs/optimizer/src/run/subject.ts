/** What a run is about: the model that is meant, the variant that others are compared with, and the data. */
import { nearestNames, parseSelector, ShoalError } from '@shoal/contracts';
import { type Model, openRepository, selects } from '@shoal/models';
import { readData } from '../data/read-data.js';
import type { Subject } from '../types.js';

/** @throws ShoalError `model_not_found`, `model_invalid` or `invalid_request`, each in one line that says what to do */
export async function openSubject(models: string, asked: string, dataFile: string): Promise<Subject> {
  const original = await findOriginal(models, asked);
  return { original, path: original.variants[original.variant]!, data: readData(dataFile, original) };
}

async function findOriginal(root: string, asked: string): Promise<Model> {
  const { models, aliases, problems } = await openRepository(root);
  const shares = [...(aliases.get(asked) ?? [])].sort((a, b) => b.weight - a.weight);
  const selector = shares[0]?.target ?? asked;
  // In the repository's order: the newest version is the first.
  const first = models.find((model) => selects(selector, model));
  if (first === undefined) throw notFound(root, selector, models, problems);
  const { name, version, variant, variants } = first;
  if (selector.endsWith(`:${variant}`)) {
    throw new ShoalError(
      'invalid_request',
      `${asked} names a variant: write ${name}@${version}, of which variants are made`,
    );
  }
  if (first.task === 'tensors') {
    throw new ShoalError('invalid_request', `${asked} takes tensors: what it answers to texts cannot be measured`);
  }
  const whole = 'fp32' in variants ? 'fp32' : variant;
  return models.find((model) => model.name === name && model.version === version && model.variant === whole)!;
}

function notFound(
  root: string,
  asked: string,
  models: readonly Model[],
  problems: readonly { readonly folder: string; readonly message: string }[],
): ShoalError {
  const { name, version } = parseSelector(asked);
  const folder = version === undefined ? name : `${name}/${version}`;
  const problem = problems.find((one) => one.folder === folder || one.folder.startsWith(`${folder}/`));
  if (problem !== undefined) return new ShoalError('model_invalid', `${problem.folder}: ${problem.message}`);
  const versions = new Set(models.flatMap((model) => (model.name === name ? [model.version] : [])));
  if (version !== undefined && versions.size > 0 && !versions.has(version)) {
    const which = `${versions.size === 1 ? 'version' : 'versions'} ${[...versions].join(', ')} only`;
    return new ShoalError('model_not_found', `there is no model ${asked} in ${root}: ${name} has ${which}`);
  }
  const names = [...new Set(models.map((model) => model.name))];
  const near = nearestNames(name, names);
  const there = names.length === 0 ? 'none at all' : `only ${names.slice(0, 10).join(', ')}`;
  const hint = near.length > 0 ? `did you mean ${near.join(' or ')}?` : `there is ${there}`;
  return new ShoalError('model_not_found', `there is no model ${asked} in ${root}: ${hint}`);
}
