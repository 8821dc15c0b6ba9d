export { buildModel } from './architectures/table.js';
export { type Checkpoint, openCheckpoint } from './checkpoint.js';
export { exportsFor } from './exports/names.js';
export { type ImportContext, type ImportRequest, importFolder } from './import-folder.js';
export { stackRows } from './matrix.js';
export { precisionOf } from './precision/dtype.js';
export { float32 } from './precision/float32.js';
export { type ReportRequest, reportOn } from './report/report.js';
export type { ReportContext } from './report/types.js';
