/** What the names of ONNX files say in the folders of transformers.js, Optimum, sentence-transformers and PyTorch's exporters. */

/** As `--dtype` has them, options aside. */
export type ExportDtype = 'fp32' | 'fp16' | 'int8' | 'int4';

/**
 * Suffix behind `model_` → dtype, the one to prefer first. O1 to O4 are Optimum's levels of optimisation; what follows
 * `qint8` is the processor that sentence-transformers meant, and only a hint.
 */
const SUFFIXES: Readonly<Record<ExportDtype, readonly string[]>> = {
  fp32: ['', 'fp32', 'o3', 'o2', 'o1'],
  fp16: ['fp16', 'o4'],
  int8: [
    'int8',
    'quantized',
    'q8',
    'uint8',
    'qint8_avx512_vnni',
    'qint8_avx512',
    'qint8',
    'quint8_avx2',
    'qint8_arm64',
    'quint8',
  ],
  int4: ['q4', 'int4', 'bnb4', 'q4f16'],
};

/** Names of the parts of decoders and of encoder-decoders. */
const PARTS = /^(decoder|encoder|embed|vision|audio|text)_?\w*model|^(embed_tokens|encoder|decoder)/;

export interface ExportFile {
  /** Relative to the folder, with `/`. */
  readonly path: string;
  readonly dtype: ExportDtype;
}

export interface FoundExports {
  /** One per dtype. */
  readonly files: readonly ExportFile[];
  /** ONNX files that are part of something larger. */
  readonly parts: readonly string[];
  /** Names that say nothing: one such file alone is a model, several are a puzzle. */
  readonly unknown: readonly string[];
}

/** `paths` are those of all ONNX files, relative to the folder. Files in `onnx/` come before those beside it. */
export function findExports(paths: readonly string[]): FoundExports {
  const ordered = [...paths].sort((a, b) => Number(b.startsWith('onnx/')) - Number(a.startsWith('onnx/')));
  const suffixOf = (path: string) => /^(?:onnx\/)?model(?:_(.+))?\.onnx$/i.exec(path);
  const files: ExportFile[] = [];
  for (const [dtype, suffixes] of Object.entries(SUFFIXES) as [ExportDtype, readonly string[]][]) {
    const found = suffixes.flatMap((suffix) =>
      ordered.filter((path) => {
        const match = suffixOf(path);
        return match !== null && (match[1] ?? '').toLowerCase() === suffix;
      }),
    );
    if (found[0] !== undefined) files.push({ path: found[0], dtype });
  }
  const known = new Set(Object.values(SUFFIXES).flat());
  const rest = ordered.filter((path) => !known.has((suffixOf(path)?.[1] ?? (suffixOf(path) ? '' : '?')).toLowerCase()));
  const parts = rest.filter((path) => PARTS.test(path.replace(/^onnx\//, '')));
  return { files, parts, unknown: rest.filter((path) => !parts.includes(path)) };
}

/** The files that a model can be made of: where names say nothing, the only one, for which full precision is assumed. */
export function usable({ files, parts, unknown }: FoundExports): readonly ExportFile[] {
  const [only, ...more] = [...unknown, ...parts];
  const isAlone = files.length === 0 && only !== undefined && more.length === 0 && parts.length === 0;
  return isAlone ? [{ path: only, dtype: 'fp32' }] : files;
}

/**
 * Which of these files the variants `dtypes` are made of: those in the same dtype, else the widest, of which a language model
 * becomes one in any.
 */
export function exportsFor(paths: readonly string[], dtypes: readonly string[]): readonly string[] {
  const files = usable(findExports(paths));
  const wanted = new Set(dtypes.map((dtype) => dtype.split('-')[0]).map((base) => (base === 'kept' ? 'int4' : base)));
  const found = files.filter(({ dtype }) => wanted.has(dtype));
  return (found.length > 0 ? found : files.slice(0, 1)).map(({ path }) => path);
}
