/** Which methods a path has, so that a wrong one is told apart from a wrong path. */
import type { FastifyInstance } from 'fastify';

export class Routes {
  /** Pattern → its methods. */
  readonly #methods = new Map<string, Set<string>>();

  /** Collects every route that is registered from now on. */
  watch(server: FastifyInstance): void {
    server.addHook('onRoute', ({ url, method }) => {
      const methods = this.#methods.get(url) ?? new Set();
      for (const name of [method].flat()) methods.add(name);
      this.#methods.set(url, methods);
    });
  }

  /** The methods of `path`; none where nothing is there. */
  methodsOf(path: string): string[] {
    const found = new Set<string>();
    for (const [pattern, methods] of this.#methods) {
      if (matches(pattern, path)) for (const method of methods) found.add(method);
    }
    return [...found].sort();
  }
}

/** `/v1/jobs/:id` and `/docs/*` against a path without its query. */
function matches(pattern: string, path: string): boolean {
  const parts = path.split('/');
  const wanted = pattern.split('/');
  if (wanted.at(-1) === '*') return wanted.slice(0, -1).every((part, n) => part === parts[n]);
  return wanted.length === parts.length && wanted.every((part, n) => part.startsWith(':') || part === parts[n]);
}
