/** MessagePack for what stands in job records and what scripts take: typed arrays stay bytes, nothing is JSON. */
import { Packr } from 'msgpackr';

const packr = new Packr({ useRecords: false, moreTypes: true, int64AsType: 'number' });

export function pack(value: unknown): Buffer {
  return packr.pack(value);
}

/** The caller names the type: both ends of every packed value are in this lib. */
export function unpack<T>(bytes: Buffer): T {
  return packr.unpack(bytes) as T;
}
