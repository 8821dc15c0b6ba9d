/** Protobuf bytes for specs. */

export function varint(value: number | bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return [...bytes, Number(rest)];
}

export function number(field: number, value: number | bigint): number[] {
  return [...varint(field * 8), ...varint(value)];
}

export function bytes(field: number, content: readonly number[]): number[] {
  return [...varint(field * 8 + 2), ...varint(content.length), ...content];
}

export function text(field: number, content: string): number[] {
  return bytes(field, [...Buffer.from(content)]);
}

/** A ValueInfoProto of a tensor. */
export function tensorValue(name: string, elementType: number, shape: readonly (number | string | null)[]): number[] {
  const dims = shape.flatMap((size) => {
    if (size === null) return bytes(1, []);
    return bytes(1, typeof size === 'number' ? number(1, size) : text(2, size));
  });
  return [...text(1, name), ...bytes(2, bytes(1, [...number(1, elementType), ...bytes(2, dims)]))];
}

export function externalTensor(name: string, location: string): number[] {
  const entry = [...text(1, 'location'), ...text(2, location)];
  return [...number(1, 4), ...number(2, 1), ...text(8, name), ...bytes(13, entry), ...number(14, 1)];
}

/** A whole ModelProto around the fields of a graph. */
export function model(graph: readonly number[]): number[] {
  const opset = [...text(1, ''), ...number(2, 17)];
  return [...number(1, 8), ...text(2, 'spec'), ...bytes(7, graph), ...bytes(8, opset)];
}
