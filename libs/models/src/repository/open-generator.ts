/** One model that generates text, wherever its folder lies. */
import type { GeneratorDetails, Model } from '../types.js';
import { invalid } from './files.js';
import { type AskedModel, openModel } from './open-model.js';

export type GeneratorModel = Model & { readonly generator: GeneratorDetails };

/** As openModel. @throws ShoalError `model_invalid` naming what is missing or wrong, and where it generates no text */
export async function openGenerator(folder: string, asked: AskedModel = {}): Promise<readonly GeneratorModel[]> {
  const models = await openModel(folder, asked);
  return models.map((model) => {
    const { task, generator } = model;
    if (generator !== null) return { ...model, generator };
    throw invalid(`${model.folder} serves ${task}; "shoal run" is for models that generate text`);
  });
}
