/** What lies among the models and is none yet: why, and the command that makes one of it. */
import { basename, dirname, join } from 'node:path';
import { list } from './files.js';

/** Weights that `shoal import` reads. */
const WEIGHTS = /\.(safetensors|gguf)$/i;
const NUMBER = /^[1-9][0-9]{0,8}$/;
/** What people call versions elsewhere. */
const NEARLY = /^(?:v|ver|version)?[-_.]?0*([1-9][0-9]{0,8})(?:[._]\d+)*$/i;

/** Of a file beside the folders of models; undefined: it is nobody's model. */
export function reasonOfFile(root: string, name: string): string | undefined {
  if (WEIGHTS.test(name)) return `is a file of weights and no folder: ${importOf(join(root, name))}`;
  if (!name.endsWith('.onnx')) return undefined;
  const model = name.slice(0, -'.onnx'.length);
  return `is a file and no folder: put it into one, as ${join(root, model, '1', 'model.onnx')}, with the files of its tokenizer`;
}

/** Of the folder of a version in which there is no ONNX file of a model. */
export async function reasonOfFolder(folder: string): Promise<string> {
  const names = await list(folder);
  const weights = names.find((name) => WEIGHTS.test(name));
  if (weights !== undefined) return `has weights (${weights}) and no ONNX file: ${importOf(folder)}`;
  const other = [...names, ...(await list(folder, 'onnx')).map((name) => `onnx/${name}`)].find((name) =>
    name.endsWith('.onnx'),
  );
  return other === undefined
    ? 'no ONNX file: expected onnx/model.onnx or model.onnx'
    : `no ONNX file that is called onnx/model.onnx or model.onnx: rename ${other}, or name it in "variants" of shoal.json`;
}

/** Of a folder within that of a model; undefined: it need not be a version. */
export function reasonOfVersion(name: string): string | undefined {
  const [, number] = NEARLY.exec(name) ?? [];
  if (number === undefined || NUMBER.test(name)) return undefined;
  return `is no version: versions are called by whole numbers; rename it to ${number}`;
}

function importOf(path: string): string {
  const version = basename(path);
  const more = NUMBER.test(version) ? ` --name ${basename(dirname(path))} --version ${Number(version) + 1}` : '';
  return `"npx shoal import ${path}${more}" makes a model of it`;
}
