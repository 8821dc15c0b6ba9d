/** A FileStore in memory. */
import { ShoalError } from '@shoal/contracts';
import type {
  FileFilter,
  FileName,
  FilePage,
  FilePiece,
  FileQuotas,
  FileRecord,
  FileStore,
  FileTotals,
  FinishedFile,
  NewFile,
  StoredFile,
} from '@shoal/queue';

const NOW = Date.UTC(2026, 0, 1);

interface Kept extends StoredFile {
  readonly tenant: string;
  readonly pieces: FilePiece[];
  readonly ready: boolean;
}

export class FakeFileStore implements FileStore {
  readonly all = new Map<string, Kept>();
  readonly keys = new Map<string, { readonly id: string; readonly fingerprint: string }>();
  readonly garbage = new Set<string>();
  quotas: FileQuotas = { files: 10_000, bytes: 10_000_000_000 };
  #made = 0;

  /** Files that are whole. */
  get ready(): Kept[] {
    return [...this.all.values()].filter(({ ready }) => ready);
  }

  async begin(tenant: string, { purpose, filename, reservedBytes }: NewFile): Promise<FileName> {
    const bytes = this.ready.reduce((sum, file) => sum + file.bytes, reservedBytes);
    if (this.all.size >= this.quotas.files || bytes > this.quotas.bytes) {
      throw new ShoalError('limit_reached', 'You may have no more (SHOAL_TENANT_MAX_FILES); delete some first.');
    }
    this.#made += 1;
    const id = `file-${String(this.#made).padStart(26, '0')}`;
    const dates = { createdAt: NOW + this.#made, expiresAt: null };
    this.all.set(id, { id, tenant, purpose, filename, bytes: 0, pieces: [], ready: false, ...dates });
    return { tenant, id };
  }

  async extend(name: FileName): Promise<void> {
    this.#find(name, false);
  }

  async append(name: FileName, _leaseMs: number, _number: number, piece: FilePiece): Promise<void> {
    const file = this.#find(name, false);
    this.all.set(name.id, { ...file, pieces: [...file.pieces, piece], bytes: file.bytes + piece.bytes });
  }

  async finish(name: FileName, { expiresAfterMs, idempotency }: FinishedFile): Promise<FileRecord> {
    const file = this.#find(name, false);
    const before = idempotency && this.keys.get(idempotency.key);
    if (before) {
      this.#drop(name.id);
      if (before.fingerprint === idempotency.fingerprint) return this.all.get(before.id)!;
      throw new ShoalError('idempotency_conflict', 'use a new Idempotency-Key');
    }
    if (idempotency) this.keys.set(idempotency.key, { id: name.id, fingerprint: idempotency.fingerprint });
    const expiresAt = expiresAfterMs === undefined ? null : file.createdAt + expiresAfterMs;
    const whole = { ...file, expiresAt, ready: true };
    this.all.set(name.id, whole);
    return whole;
  }

  async abandon(name: FileName): Promise<void> {
    if (this.all.get(name.id)?.ready === false) this.#drop(name.id);
  }

  async find(name: FileName): Promise<FileRecord> {
    return this.#find(name, true);
  }

  async open(name: FileName): Promise<StoredFile> {
    return this.#find(name, true);
  }

  async list(tenant: string, { purpose, limit, order, after }: FileFilter): Promise<FilePage> {
    const own = this.ready.filter((file) => file.tenant === tenant && (purpose ?? file.purpose) === file.purpose);
    const sorted = own.sort((a, b) => (a.id < b.id === (order === 'asc') ? -1 : 1));
    const next = sorted.filter(({ id }) => after === undefined || (order === 'asc' ? id > after : id < after));
    return { files: next.slice(0, limit), more: next.length > limit };
  }

  async remove(name: FileName): Promise<void> {
    this.#find(name, true);
    this.#drop(name.id);
  }

  async totals(): Promise<FileTotals> {
    return { files: this.all.size, bytes: this.ready.reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  async stores(): Promise<number> {
    return 1;
  }

  async sweep(): Promise<readonly string[]> {
    return [...this.garbage];
  }

  async erased(id: string): Promise<void> {
    this.garbage.delete(id);
  }

  #drop(id: string): void {
    this.all.delete(id);
    this.garbage.add(id);
  }

  #find({ tenant, id }: FileName, ready: boolean): Kept {
    const file = this.all.get(id);
    if (file?.tenant === tenant && file.ready === ready) return file;
    throw new ShoalError('file_not_found', 'There is no such file.');
  }
}
