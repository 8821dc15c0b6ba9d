export { ALLOWED_ADDRESSES, DENIED_ADDRESSES } from './address-vectors.js';
