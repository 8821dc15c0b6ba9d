export type {
  Allowed,
  Candidate,
  Comparison,
  Context,
  Data,
  Example,
  Examples,
  Method,
  Subject,
  Verdict,
} from './types.js';
