/** Model folders for specs: a graph of given inputs and outputs (no nodes) and the files around it. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TensorSpec } from '@shoal/contracts';

/** The repository's own folders, from src or dist alike. */
export const BUNDLED_MODELS = fileURLToPath(new URL('../../../../models', import.meta.url));
export const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures', import.meta.url));

export interface ModelFolders {
  readonly root: string;
  /** Writes `<root>/<path>/<file>` for each file: bytes, text, or a value as JSON. */
  write(path: string, files: Readonly<Record<string, unknown>>): string;
  /** Copies a fixture's tokenizer and config into `<root>/<path>`. */
  copyFixture(name: string, path: string): void;
  remove(): void;
}

export function modelFolders(): ModelFolders {
  const root = mkdtempSync(join(tmpdir(), 'shoal-models-'));
  return {
    root,
    write(path, files) {
      for (const [name, content] of Object.entries(files)) {
        const file = join(root, path, name);
        mkdirSync(dirname(file), { recursive: true });
        const raw = typeof content === 'string' || content instanceof Uint8Array;
        writeFileSync(file, raw ? content : JSON.stringify(content));
      }
      return join(root, path);
    },
    copyFixture: (name, path) => cpSync(join(FIXTURES, name), join(root, path), { recursive: true }),
    remove: () => rmSync(root, { recursive: true }),
  };
}

/** What Hugging Face's exporter gives a BERT: ids, mask and segments. */
export const TEXT_INPUTS: readonly TensorSpec[] = ['input_ids', 'attention_mask', 'token_type_ids'].map((name) => ({
  name,
  type: 'int64',
  shape: ['batch', 'sequence'],
}));

const ELEMENT_NUMBERS: Readonly<Record<string, number>> = { float32: 1, int64: 7, string: 8, bool: 9, float16: 10 };

/** A graph of given metadata, as the importer writes it into models that generate text. */
export function decoder(info: object): Uint8Array {
  const whole = { graph: 2, layers: 1, kvHeads: 1, headDim: 2, vocabulary: 99, window: 16, maxContext: 16, ...info };
  const notes = { 'shoal.decoder': JSON.stringify({ eosTokenIds: [3], ...whole }) };
  const ids: TensorSpec = { name: 'input_ids', type: 'int64', shape: ['batch', 'sequence'] };
  return onnx([ids], [{ name: 'logits', type: 'float32', shape: ['n', 99] }], undefined, notes);
}

/** A ModelProto of the given inputs and outputs; `external` is the path of one external weight. */
export function onnx(
  inputs: readonly TensorSpec[],
  outputs: readonly TensorSpec[],
  external?: string,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  // One byte (uint8) of external data.
  const tensor = (location: string) => [
    ...varint(1, 1),
    ...varint(2, 2),
    ...text(8, 'w'),
    ...field(13, entry('location', location)),
    ...varint(14, 1),
  ];
  const weight = external === undefined ? [] : field(5, tensor(external));
  const graph = [
    ...inputs.flatMap((spec) => value(11, spec)),
    ...outputs.flatMap((spec) => value(12, spec)),
    ...weight,
  ];
  const notes = Object.entries(metadata).flatMap(([key, content]) => field(14, entry(key, content)));
  return Uint8Array.from([...field(7, graph), ...field(8, varint(2, 17)), ...notes]);
}

function value(number: number, { name, type, shape }: TensorSpec): number[] {
  const dims = shape.flatMap((size) => field(1, typeof size === 'number' ? varint(1, size) : text(2, size)));
  const tensor = [...varint(1, ELEMENT_NUMBERS[type] ?? 0), ...field(2, dims)];
  return field(number, [...text(1, name), ...field(2, field(1, tensor))]);
}

function entry(key: string, content: string): number[] {
  return [...text(1, key), ...text(2, content)];
}

function text(number: number, content: string): number[] {
  return field(number, [...Buffer.from(content)]);
}

function field(number: number, content: readonly number[]): number[] {
  return [number * 8 + 2, ...size(content.length), ...content];
}

function varint(number: number, content: number): number[] {
  return [number * 8, ...size(content)];
}

function size(count: number): number[] {
  return count < 128 ? [count] : [(count & 0x7f) | 0x80, ...size(count >> 7)];
}
