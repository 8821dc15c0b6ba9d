/** Session config entries that hold for every session, unless its options say otherwise. */

/**
 * x64 processors without VNNI add products of 8-bit numbers in 16 bits, which saturate; this makes ONNX Runtime multiply in
 * a way that does not (10 % slower on AVX2, with a tenth of the error). Other processors are not concerned.
 */
export const PRECISE = { 'session.x64quantprecision': '1' } as const;
