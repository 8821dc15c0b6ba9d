/** Finding something that renders kustomize folders, with a PATH of stand-in programs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureKustomize, findKustomize } from '@shoal/tools/k8s-kustomize';
import { afterEach, beforeEach, expect, test } from 'vitest';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-path-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function program(name: string, output: string): string {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\necho '${output}'\n`, { mode: 0o755 });
  return file;
}

test('kustomize comes before kubectl, and either must be of version 5', () => {
  expect(findKustomize(folder)).toBeNull();
  program('kubectl', '{ "kustomizeVersion": "v4.5.7" }');
  expect(findKustomize(folder)).toBeNull();
  const kubectl = program('kubectl', '{ "kustomizeVersion": "v5.0.1" }');
  program('kustomize', '{Version:kustomize/v4.5.4 GitCommit:abc}');
  expect(findKustomize(`/nowhere:${folder}`)).toEqual({ file: kubectl, args: ['kustomize'] });
  const kustomize = program('kustomize', 'v5.4.3');
  expect(findKustomize(folder)).toEqual({ file: kustomize, args: ['build'] });
});

test('where there is none, and npm has none for this machine, it says what to install', async () => {
  const system = { path: folder, folder: join(folder, 'fetched'), platform: 'darwin arm64' };
  await expect(ensureKustomize(() => {}, system)).rejects.toThrow(/^no kubectl: install one/);
});

test('one that was fetched before is used again', async () => {
  const file = program('kubectl', '{ "kustomizeVersion": "v5.7.1" }');
  const said: string[] = [];
  const system = { path: '/nowhere', folder, platform: 'linux x64' };
  expect(await ensureKustomize((line) => said.push(line), system)).toEqual({ file, args: ['kustomize'] });
  expect(said).toEqual([]);
});
