/** What is read, and what can be wrong with it. */

export type Environment = Readonly<Record<string, string | undefined>>;

/** What is wrong with one variable; never its value, which may be a secret. */
export interface Problem {
  readonly variable: string;
  readonly message: string;
}
