/** Which files beside the graphs a model is served by. */

const FILES: readonly string[] = [
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
/** Of a module of sentence-transformers, whose folder lies in the model's. */
const MODULE_CONFIG = /^[\w-][\w.-]*\/config\.json$/;

/** `path` is relative to the version's folder, with `/`. */
export function isServedFile(path: string): boolean {
  return FILES.includes(path) || SENTENCE_CONFIG.test(path) || MODULE_CONFIG.test(path);
}
