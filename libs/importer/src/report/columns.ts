/** How numbers of a report are shown. */

/** With the ratio to the first. */
export function speeds(unit: string, rates: readonly number[], n: number): Record<string, string> {
  const rate = rates[n]!;
  return { [unit]: `${rate.toFixed(rate < 100 ? 1 : 0)} (× ${(rate / rates[0]!).toFixed(2)})` };
}

export function share(value: number): string {
  return `${(100 * value).toFixed(2)} %`;
}
