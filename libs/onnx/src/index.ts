export { type OnnxSignature, type OnnxValue, readSignature } from './signature.js';
