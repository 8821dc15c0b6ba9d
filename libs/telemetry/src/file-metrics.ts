/** What there is of files. */
import { Gauge, type Registry } from 'prom-client';

export interface FileTotals {
  readonly files: number;
  readonly bytes: number;
}

/** Registers gauges; `totals` is asked at each scrape, and where it rejects they stay as they were. Call once per registry. */
export function createFileMetrics(registry: Registry, totals: () => Promise<FileTotals>): void {
  const registers = [registry];
  const bytes = new Gauge({
    name: 'shoal_file_bytes',
    help: 'Bytes of all files, with what is set aside for those that are being written.',
    registers,
  });
  new Gauge({
    name: 'shoal_files',
    help: 'Files of all tenants, and those that are being written.',
    registers,
    async collect() {
      const now = await totals().catch(() => undefined);
      if (now === undefined) return;
      this.set(now.files);
      bytes.set(now.bytes);
    },
  });
}
