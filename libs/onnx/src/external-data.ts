/**
 * Every place of an ONNX file that can name another file: tensors with `data_location = EXTERNAL`, as initializers,
 * in attributes, and in the subgraphs of control-flow nodes.
 */
import type { FileWindow } from './file-window.js';
import { fields, type Span, WireError } from './wire-format.js';

const MAX_DEPTH = 64;
const MAX_LOCATION_BYTES = 4096;

type MessageKind = 'graph' | 'function' | 'node' | 'attribute' | 'tensor' | 'sparse' | 'entry';

/** message → field number → the message it holds, as far as it can lead to external data. */
const CHILDREN: Readonly<Record<MessageKind, Readonly<Record<number, MessageKind>>>> = {
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  function: { 7: 'node', 11: 'attribute' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  tensor: { 13: 'entry' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  entry: {},
};

/** Adds the `location` of every external tensor below `span`, as written in the file. */
export function externalLocations(
  file: FileWindow,
  span: Span,
  kind: MessageKind,
  locations: Set<string>,
  depth = 0,
): void {
  if (depth > MAX_DEPTH) throw new WireError(`its graph is nested more than ${MAX_DEPTH} deep`);
  if (kind === 'entry') {
    addLocation(file, span, locations);
    return;
  }
  const children = CHILDREN[kind];
  for (const field of fields(file, span)) {
    const child = children[field.number];
    if (child !== undefined && field.span !== null) externalLocations(file, field.span, child, locations, depth + 1);
  }
}

/** `StringStringEntryProto`: key 1, value 2. */
function addLocation(file: FileWindow, span: Span, locations: Set<string>): void {
  let key = '';
  let value = '';
  for (const field of fields(file, span)) {
    if (field.span === null) continue;
    const length = field.span.end - field.span.start;
    if (length > MAX_LOCATION_BYTES) throw new WireError(`external data has a path of ${length} bytes`);
    if (field.number === 1) key = file.text(field.span.start, length);
    else if (field.number === 2) value = file.text(field.span.start, length);
  }
  if (key === 'location') locations.add(value);
}
