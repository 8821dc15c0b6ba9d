/** Beside the weights: which files of a folder go with its model. */
import { fileIn } from '../checkpoint.js';
import { moduleFolders } from '../sentence/modules.js';
import { namesIn, refuseHuge } from './source-files.js';

/** What serving needs. */
const KEPT: readonly string[] = [
  'config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'generation_config.json',
  'chat_template.jinja',
  'modules.json',
  'config_sentence_transformers.json',
];
/** Of sentence-transformers: called after the kind of transformer in older versions. */
const SENTENCE_CONFIG = /^sentence_[\w-]+_config\.json$/;
/** What the licence asks for. */
export const LICENCES = /^(LICEN[CS]E|NOTICE|COPYING)[\w.-]*$/i;

/**
 * Their paths, relative to the folder, with the config.json of each module of sentence-transformers.
 *
 * @throws ShoalError `model_invalid` for links and huge files
 */
export function keptFiles(folder: string): readonly string[] {
  const wanted = [
    ...namesIn(folder).filter((name) => KEPT.includes(name) || SENTENCE_CONFIG.test(name) || LICENCES.test(name)),
    ...moduleFolders(folder).map((path) => `${path}/config.json`),
  ];
  return wanted.filter((path) => {
    if (!fileIn(folder, path)) return false;
    refuseHuge(folder, path);
    return true;
  });
}
