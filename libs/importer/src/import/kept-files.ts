/** Beside the weights: which files of a folder go with its model. */
import { isServedFile } from '@shoal/models';
import { fileIn } from '../checkpoint.js';
import { moduleFolders } from '../sentence/modules.js';
import { namesIn, refuseHuge } from './source-files.js';

/** What the licence asks for. */
export const LICENCES = /^(LICEN[CS]E|NOTICE|COPYING)[\w.-]*$/i;

/**
 * Their paths, relative to the folder, with the config.json of each module of sentence-transformers.
 *
 * @throws ShoalError `model_invalid` for links and huge files
 */
export function keptFiles(folder: string): readonly string[] {
  const wanted = [
    ...namesIn(folder).filter((name) => isServedFile(name) || LICENCES.test(name)),
    ...moduleFolders(folder).map((path) => `${path}/config.json`),
  ];
  return wanted.filter((path) => {
    if (!fileIn(folder, path)) return false;
    refuseHuge(folder, path);
    return true;
  });
}
