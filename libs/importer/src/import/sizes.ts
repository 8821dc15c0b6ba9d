/** How large a model is, for people. */

/** `1.24 billion`, `22.7 million`, `97 thousand` */
export function countOf(parameters: number): string {
  if (parameters >= 1e9) return `${(parameters / 1e9).toFixed(2)} billion`;
  if (parameters >= 1e6) return `${(parameters / 1e6).toFixed(1)} million`;
  return `${Math.ceil(parameters / 1e3)} thousand`;
}
