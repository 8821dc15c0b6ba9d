/** Importing folders in tests: fixtures to change, a repository of its own, what was said and what was refused. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ImportRequest, importFolder } from '@shoal/importer';
import { createModelFace, loadRunner, type Model } from '@shoal/models';
import type { Runtime } from '@shoal/onnxruntime';
import { expect } from 'vitest';

export const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url));

export class ImportBench {
  readonly root = mkdtempSync(join(tmpdir(), 'shoal-import-'));
  readonly models = join(this.root, 'models');
  readonly said: string[] = [];
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** A copy of a checkpoint that may be changed. */
  checkpoint(fixture: string): string {
    const folder = join(this.root, 'source', fixture);
    cpSync(join(FIXTURES, 'checkpoints', fixture), folder, { recursive: true });
    return folder;
  }

  /** A folder with these files. */
  folder(files: Readonly<Record<string, string>> = {}): string {
    const folder = join(this.root, 'source', 'some-model');
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    return folder;
  }

  async take(
    folder: string,
    more: Partial<ImportRequest> = {},
    signal: AbortSignal = new AbortController().signal,
  ): Promise<string> {
    const request = { folder, version: 1, dtypes: [], to: this.models, force: false, ...more };
    return await importFolder(request, { runtime: this.#runtime, say: (line) => this.said.push(line), signal });
  }

  /** Why it is refused; nothing may be left of it. */
  async refusal(folder: string, more: Partial<ImportRequest> = {}): Promise<string> {
    const there = () => (existsSync(this.models) ? readdirSync(this.models) : []);
    const before = there();
    const message = await this.take(folder, more).then(
      () => 'imported',
      (error: Error) => error.message,
    );
    expect(there()).toEqual(before);
    return message;
  }

  /** What a model answers to `input`, as callers see it. */
  async answer(model: Model, input: unknown): Promise<unknown> {
    const runner = loadRunner(model, await this.#runtime.createSession(model.variants[model.variant]!));
    try {
      const face = await createModelFace(model);
      const encoded = await face.encode({ input });
      const outputs = await runner.run(encoded.items.map((item) => ({ item, parameters: encoded.parameters })));
      const outcomes = outputs.map((output) => (output instanceof Error ? null : { output }));
      return face.present(encoded, outcomes).output;
    } finally {
      await runner.close();
    }
  }

  remove(): void {
    rmSync(this.root, { recursive: true });
  }
}
