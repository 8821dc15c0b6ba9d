/** Folders and files that people try to import and that cannot be: what they are, and what to do instead. */
import { lstatSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CHECKPOINT_FILES, hasCheckpoint } from '../checkpoint.js';
import { invalid } from '../invalid.js';

const SAVE = "model.save_pretrained('folder', safe_serialization=True)";

/** Endings of files that hold a model in a form that is not read, with what it is and what helps. */
const FORMATS: readonly (readonly [RegExp, string])[] = [
  [/\.(ckpt|pth?|bin)$/i, `a pickle, which can run code when it is read: save it as safetensors (${SAVE})`],
  [/\.(h5|keras)$/i, "a Keras file: export it (model.export('model.onnx', format='onnx')) and import that folder"],
  [
    /^saved_model\.pb$/i,
    'a TensorFlow SavedModel: convert it (python -m tf2onnx.convert --saved-model . --output model.onnx)',
  ],
  [/\.msgpack$/i, `a Flax file: load it with from_flax=True in PyTorch and save it as safetensors (${SAVE})`],
  [
    /\.tflite$/i,
    'a TensorFlow Lite file: convert it (python -m tf2onnx.convert --tflite model.tflite --output model.onnx)',
  ],
  [/\.(mlmodel|mlpackage)$/i, 'a Core ML file: import what it was made from'],
  [/\.engine$/i, 'a TensorRT engine, which runs on one kind of GPU: import what it was made from'],
];

/** @throws ShoalError `model_invalid` where `path` is neither a folder nor a file that holds a model */
export function refuseFile(path: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw invalid(`there is no folder and no file ${path}`);
  if (stat.isSymbolicLink()) throw invalid(`${path} is a symbolic link: give the folder or the file that it leads to`);
  if (stat.isDirectory()) return;
  const what = FORMATS.find(([pattern]) => pattern.test(basename(path)))?.[1];
  throw invalid(
    what === undefined
      ? `${path} is not a folder, and no .gguf and no .onnx file: give the folder that the model lies in`
      : `${path} is ${what}`,
  );
}

/** Of a folder with neither a checkpoint nor an ONNX file. */
export function explainNothing(folder: string, names: readonly string[]): Error {
  for (const [pattern, what] of FORMATS) {
    const name = names.find((candidate) => pattern.test(candidate));
    if (name !== undefined) return invalid(`${name} is ${what}`);
  }
  const other = names.find((name) => name.endsWith('.safetensors'));
  const within = names.filter((name) => holdsModel(join(folder, name)));
  const [first] = within;
  if (first !== undefined) {
    const all = within.length === 1 ? 'a folder with one' : `folders with one (${within.slice(0, 5).join(', ')})`;
    return invalid(`${folder} is no model and has ${all}: give that, ${join(folder, first)}`);
  }
  const hint = other === undefined ? '' : ` (${other} is not the name of a whole model)`;
  return invalid(`${folder} has neither ${CHECKPOINT_FILES.join(' nor ')}, nor an ONNX file, nor a GGUF file${hint}`);
}

/** Such as a version of a model that is served. */
function holdsModel(path: string): boolean {
  if (!lstatSync(path).isDirectory()) return false;
  return readdirSync(path).some((name) => name === 'onnx' || /\.(safetensors|onnx|gguf)$/i.test(name));
}

/** @throws ShoalError `model_invalid` where the weights are not those of a whole model */
export function refuseAdapter(names: readonly string[]): void {
  if (names.includes('adapter_config.json') && !hasCheckpoint(names)) throw adapter();
}

function adapter(): Error {
  return invalid(
    'adapter_config.json: a LoRA adapter, which is not a model of its own: merge it first ' +
      "(PeftModel.from_pretrained(base, folder).merge_and_unload().save_pretrained('merged'), and the tokenizer)",
  );
}

/** Files of tokenizers from before tokenizer.json. */
function vocabularyIn(names: readonly string[]): string | undefined {
  return names.find((name) =>
    /^(vocab\.(txt|json)|spiece\.model|sentencepiece\.bpe\.model|tokenizer\.model)$/.test(name),
  );
}

/** @throws ShoalError `model_invalid` where a graph for texts comes with a tokenizer that cannot be read */
export function refuseVocabularyAlone(names: readonly string[]): void {
  if (vocabularyIn(names) !== undefined) refuseWithoutTokenizer(names);
}

/** @throws ShoalError `model_invalid` where a model of texts comes without a tokenizer that can be read */
export function refuseWithoutTokenizer(names: readonly string[]): void {
  if (names.includes('tokenizer.json')) return;
  const old = vocabularyIn(names);
  const have = old === undefined ? '' : `; ${old} alone is not enough`;
  throw invalid(
    `tokenizer.json is missing${have}. Hugging Face's transformers makes it: ` +
      "AutoTokenizer.from_pretrained('folder', use_fast=True).save_pretrained('folder')",
  );
}
