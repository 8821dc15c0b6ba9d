/** Rendered overlays for tests, and copies of k8s/ in which something is wrong. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureKustomize, type Kustomize, type Manifest, render } from '@shoal/tools/k8s-kustomize';
import { onTestFinished } from 'vitest';
import { ROOT } from './processes.js';

export type { Manifest } from '@shoal/tools/k8s-kustomize';

/** The one of this machine; where there is none it is fetched, as `npm run k8s:validate` does. */
export function kustomize(): Promise<Kustomize> {
  return ensureKustomize(console.log);
}

/** A folder with a copy of k8s/ in it, gone after the test. `models` are there, as empty folders. */
export function copyOfManifests(): string {
  const root = mkdtempSync(join(tmpdir(), 'shoal-k8s-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  cpSync(join(ROOT, 'k8s'), join(root, 'k8s'), { recursive: true });
  return root;
}

/** Changes one file, which must have the text. */
export function edit(root: string, file: string, from: string, to: string): void {
  const text = readFileSync(join(root, file), 'utf8');
  if (!text.includes(from)) throw new Error(`${file} has no ${JSON.stringify(from)}`);
  writeFileSync(join(root, file), text.replace(from, to));
}

const rendered = new Map<string, Promise<readonly Manifest[]>>();

/** Copies of an overlay's objects, rendered once per process. */
export async function objectsOf(overlay: string): Promise<Manifest[]> {
  const manifests = rendered.get(overlay) ?? kustomize().then((command) => render(command, overlay));
  rendered.set(overlay, manifests);
  return structuredClone([...(await manifests)]);
}

export function find(manifests: readonly Manifest[], kind: string, name: string): Manifest['object'] {
  const manifest = manifests.find(({ object }) => object.kind === kind && object.metadata.name === name);
  if (manifest === undefined) throw new Error(`there is no ${kind} ${name}`);
  return manifest.object;
}
