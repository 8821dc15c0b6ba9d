/** 8-bit floats with 4 bits of exponent and 3 of mantissa, without infinities (OCP's E4M3): by their bits. */
export const FLOAT8_E4M3 = Float32Array.from({ length: 256 }, (_, bits) => {
  const exponent = (bits >> 3) & 15;
  const mantissa = bits & 7;
  if (exponent === 15 && mantissa === 7) return Number.NaN;
  const size = exponent === 0 ? mantissa * 2 ** -9 : (8 + mantissa) * 2 ** (exponent - 10);
  return bits >= 128 ? -size : size;
});
