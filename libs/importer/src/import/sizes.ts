/** Sizes for people. */
export function sizeOf(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(bytes < 1e10 ? 2 : 1)} GB`;
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
  return bytes >= 1e4 ? `${(bytes / 1e3).toFixed(0)} kB` : `${bytes} bytes`;
}

/** `1.24 billion`, `22.7 million`, `97 thousand` */
export function countOf(parameters: number): string {
  if (parameters >= 1e9) return `${(parameters / 1e9).toFixed(2)} billion`;
  if (parameters >= 1e6) return `${(parameters / 1e6).toFixed(1)} million`;
  return `${Math.ceil(parameters / 1e3)} thousand`;
}
