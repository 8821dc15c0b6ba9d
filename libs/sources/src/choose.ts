/**
 * Which files of a source are needed: what describes the model and its tokenizer, and the weights once. Never pickles, never
 * code, never the same weights in another form.
 */

import { posix } from 'node:path';
import { sizeOf } from '@shoal/contracts';
import { unavailable } from './faults.js';

export interface Listed {
  /** Relative to the folder that is pulled. */
  readonly path: string;
  readonly size: number;
}

export interface Choice {
  /** As on the command line, for what is said: `hf:org/name`. */
  readonly source: string;
  /** A file, or the name of a quantisation: `Q4_K_M`. */
  readonly wanted: string | undefined;
  /** Of ONNX files, those to take; undefined: the one in full precision. */
  readonly pickOnnx: ((paths: readonly string[]) => readonly string[]) | undefined;
}

export interface Chosen {
  readonly paths: readonly string[];
  readonly entry: string | undefined;
  readonly notes: readonly string[];
}

/** What describes a model, by name; `NAMES` of the parts of sentence-transformers as well. */
const NAMES = /^([\w.-]+\.(json|jinja|model)|vocab\.txt|merges\.txt|eval\.jsonl|(LICEN[CS]E|NOTICE|COPYING)[\w.-]*)$/i;
/** Of training, of pickles, of other tools. */
const USELESS =
  /^(trainer_state|training_args|all_results|train_results|eval_results|pytorch_model.*index|tf_model.*)\.json$/i;
/** A module of sentence-transformers. */
const MODULE = /^\d+_\w+$/;
/** Tokenizers of 250,000 words take about 20 MB; the importer reads no more than this. */
const MAX_NAMED_BYTES = 128 * 1024 * 1024;

const CHECKPOINT = /^model(-\d{5}-of-\d{5})?\.safetensors$/;
const PICKLE = /\.(bin|pth?|ckpt|pkl|pickle)$/i;
const SPLIT = /-(\d{5})-of-(\d{5})\.gguf$/i;

/** Ten times what the largest models have: each is asked for by itself. */
const MAX_CHOSEN = 2000;

/** @throws ShoalError `source_unavailable` saying what is there and which of it to name */
export function chooseFiles(listed: readonly Listed[], choice: Choice): Chosen {
  const chosen = choose(listed, choice);
  const { length } = chosen.paths;
  if (length > MAX_CHOSEN)
    throw unavailable(`${choice.source} has ${length} files of a model, more than any model has.`);
  const paths = new Set(chosen.paths);
  const both = chosen.paths.flatMap(foldersOf).find((folder) => paths.has(folder));
  if (both !== undefined) {
    throw unavailable(`${choice.source} lists ${both} as a file and as a folder: nothing of it is taken.`);
  }
  return chosen;
}

/** Folders that a file lies in. */
function foldersOf(path: string): string[] {
  const names = path.split('/').slice(0, -1);
  return names.map((_, n) => names.slice(0, n + 1).join('/'));
}

function choose(listed: readonly Listed[], choice: Choice): Chosen {
  const files = new Map(listed.map((file) => [file.path, file]));
  // Broken, or meant to have one of them overwritten.
  const twin = listed.find((file) => files.get(file.path) !== file);
  if (twin !== undefined) throw unavailable(`${choice.source} lists ${twin.path} twice: nothing of it is taken.`);
  const described = listed.filter(({ path }) => describes(path));
  for (const { path, size } of described) {
    if (size > MAX_NAMED_BYTES)
      throw unavailable(`${choice.source}: ${path} has ${sizeOf(size)}, which no such file has.`);
  }
  const names = described.map(({ path }) => path);
  if (choice.wanted !== undefined) return chooseWanted(choice.wanted, files, names, choice);
  const weights = [...files.keys()].filter((path) => CHECKPOINT.test(path));
  const ggufs = modelsIn(listed);
  const onnx = [...files.keys()].filter((path) => /^(onnx\/)?[^/]+\.onnx$/i.test(path));
  if (weights.length > 0) {
    const aside = [...(ggufs.length > 0 ? ['GGUF'] : []), ...(onnx.length > 0 ? ['ONNX'] : [])].join(' and ');
    const notes = aside === '' ? [] : [`its ${aside} files are left aside: the checkpoint serves for every precision`];
    return { paths: [...names, ...weights], entry: undefined, notes };
  }
  if (ggufs.length > 0) return chooseGguf(ggufs, choice);
  if (onnx.length > 0) return chooseOnnx(onnx, files, names, choice);
  throw nothing(listed, choice);
}

function describes(path: string): boolean {
  const folder = posix.dirname(path);
  const name = posix.basename(path);
  if (folder === '.') return NAMES.test(name) && !USELESS.test(name);
  return MODULE.test(folder) && (NAMES.test(name) || name === 'model.safetensors');
}

interface Gguf {
  readonly path: string;
  /** All parts of it, the first one being `path`. */
  readonly parts: readonly string[];
  readonly size: number;
  /** `Q4_K_M`; empty where the name does not say. */
  readonly quantisation: string;
}

function modelsIn(listed: readonly Listed[]): readonly Gguf[] {
  const files = listed.filter(({ path }) => /\.gguf$/i.test(path) && !/^mmproj|imatrix/i.test(posix.basename(path)));
  const groups = new Map<string, Listed[]>();
  for (const file of files) {
    const key = file.path.replace(SPLIT, '-of-$2.gguf');
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  return [...groups.values()]
    .map((parts) => {
      const paths = parts.map(({ path }) => path).sort();
      const size = parts.reduce((sum, part) => sum + part.size, 0);
      return { path: paths[0]!, parts: paths, size, quantisation: quantisationOf(paths[0]!) };
    })
    .sort((a, b) => a.size - b.size);
}

function quantisationOf(path: string): string {
  const stem = posix
    .basename(path)
    .replace(SPLIT, '')
    .replace(/\.gguf$/i, '');
  const found = /(?:^|[-._])((?:I?Q\d\w*|TQ\d\w*|MXFP4\w*|BF16|F16|F32))$/i.exec(stem);
  return (found?.[1] ?? '').toUpperCase();
}

function chooseGguf(ggufs: readonly Gguf[], choice: Choice): Chosen {
  const [only] = ggufs;
  if (ggufs.length === 1) return { paths: only!.parts, entry: only!.path, notes: [] };
  throw unavailable(`${choice.source} holds ${ggufs.length} GGUF files; name the one to take:${listOf(ggufs, choice)}`);
}

function listOf(ggufs: readonly Gguf[], { source }: Choice): string {
  const short = (gguf: Gguf) => {
    const { quantisation } = gguf;
    const alone = ggufs.filter((other) => other.quantisation === quantisation).length === 1;
    return quantisation !== '' && alone ? quantisation : gguf.path;
  };
  const rows = ggufs.map((gguf) => [`${source}/${short(gguf)}`, sizeOf(gguf.size)] as const);
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, size]) => `\n  ${name.padEnd(width)}  ${size.padStart(8)}`).join('');
}

function chooseWanted(
  wanted: string,
  files: ReadonlyMap<string, Listed>,
  names: readonly string[],
  choice: Choice,
): Chosen {
  const ggufs = modelsIn([...files.values()]);
  const byName = ggufs.filter(({ quantisation }) => quantisation !== '' && quantisation === wanted.toUpperCase());
  if (!files.has(wanted) && byName.length > 0) return chooseGguf(byName, choice);
  if (!files.has(wanted)) {
    const have = ggufs.length > 0 ? `; it has:${listOf(ggufs, choice)}` : '.';
    throw unavailable(`${choice.source} has no ${wanted}${have}`);
  }
  const gguf = ggufs.find(({ parts }) => parts.includes(wanted));
  if (gguf !== undefined) return chooseGguf([gguf], choice);
  if (/\.onnx$/i.test(wanted)) {
    return { paths: [...names, ...withData([wanted], files)], entry: undefined, notes: [] };
  }
  if (PICKLE.test(wanted)) throw unavailable(`${wanted} is a pickle, which can run code when it is read: ${SAFE}`);
  throw unavailable(`${wanted} is no model by itself: name ${choice.source}, or a .gguf or .onnx file of it.`);
}

const SAFE =
  'take a model or a revision with model.safetensors, or save it so: model.save_pretrained(folder, safe_serialization=True).';

function chooseOnnx(
  onnx: readonly string[],
  files: ReadonlyMap<string, Listed>,
  names: readonly string[],
  choice: Choice,
): Chosen {
  const picked = choice.pickOnnx?.(onnx) ?? fullPrecision(onnx);
  if (picked.length === 0) {
    const rows = onnx.map((path) => `\n  ${choice.source}/${path}`).join('');
    throw unavailable(`${choice.source} holds ${onnx.length} ONNX files; name the one to take:${rows}`);
  }
  return { paths: [...names, ...withData(picked, files)], entry: undefined, notes: [] };
}

function fullPrecision(onnx: readonly string[]): readonly string[] {
  const full = ['onnx/model.onnx', 'model.onnx'].filter((path) => onnx.includes(path)).slice(0, 1);
  return full.length === 0 && onnx.length === 1 ? onnx : full;
}

/** External data lies beside its graph, under its name: `model.onnx_data`, `model.onnx.data`, `model.onnx_data_1`. */
function withData(graphs: readonly string[], files: ReadonlyMap<string, Listed>): readonly string[] {
  const stems = graphs.map((path) => path.replace(/\.onnx$/i, ''));
  const isData = (path: string) =>
    graphs.some((graph) => path.startsWith(`${graph}_data`) || path.startsWith(`${graph}.data`)) ||
    stems.some((stem) => path === `${stem}.data` || path === `${stem}.onnx_data`);
  return [...graphs, ...[...files.keys()].filter((path) => !graphs.includes(path) && isData(path))];
}

function nothing(listed: readonly Listed[], { source }: Choice): Error {
  const pickle = listed.find(({ path }) => PICKLE.test(path) && /model|weights/i.test(path));
  if (pickle !== undefined) {
    return unavailable(`${source} has its weights as a pickle (${pickle.path}), which can run code when read: ${SAFE}`);
  }
  if (listed.some(({ path }) => path === 'adapter_model.safetensors')) {
    return unavailable(
      `${source} is a LoRA adapter, which is not a model of its own: merge it into its base model first.`,
    );
  }
  return unavailable(`${source} has neither model.safetensors, nor a GGUF, nor an ONNX file.`);
}
