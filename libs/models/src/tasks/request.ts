/** Checking a request's input and parameters so that one answer names the faults of both. */
import { type Fault, formatPath, MAX_ITEMS, parse, ShoalError } from '@shoal/contracts';
import type { z } from 'zod';
import { isFull, throwFaults } from '../faults.js';

export interface Element<T> {
  /** `input` or `input[3]`. */
  readonly path: string;
  readonly value: T;
}

export interface CheckedRequest<I, P> {
  readonly parameters: P;
  readonly elements: readonly Element<I>[];
  readonly array: boolean;
}

/** Throws `invalid_request` with the faults. An input that is an array is a list of 1 to 1,000 elements. */
export function checkRequest<I extends z.ZodType, P extends z.ZodType>(
  schemas: { readonly element: I; readonly parameters: P },
  input: unknown,
  parameters: unknown,
): CheckedRequest<z.output<I>, z.output<P>> {
  const faults: Fault[] = [];
  const checkedParameters = collectFaults(faults, () => parse(schemas.parameters, parameters ?? {}, ['parameters']));
  const array = Array.isArray(input);
  const values: readonly unknown[] = array ? input : [input];
  const elements: Element<z.output<I>>[] = [];
  if (values.length === 0 || values.length > MAX_ITEMS) {
    faults.push({ path: 'input', message: `give 1 to ${MAX_ITEMS} items, not ${values.length}` });
  } else {
    for (const [index, value] of values.entries()) {
      if (isFull(faults)) break;
      const path = array ? ['input', index] : ['input'];
      const checked = collectFaults(faults, () => parse(schemas.element, value, path));
      if (checked !== undefined) elements.push({ path: formatPath(path), value: checked });
    }
  }
  throwFaults(faults);
  return { parameters: checkedParameters as z.output<P>, elements, array };
}

function collectFaults<T>(faults: Fault[], check: () => T): T | undefined {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    for (const fault of error.faults) faults.push(fault);
    return undefined;
  }
}
