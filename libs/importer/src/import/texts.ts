/** What imported models are tried with: a few texts of different lengths, in no order. */
export const TRIAL_TEXTS: readonly string[] = [
  'a large fish that lives in the sea',
  'She paid the bill and left without a word.',
  'rain',
  'The committee will publish its report on the quality of drinking water in the spring of next year.',
  'How do I reset my password?',
  'Ada Lovelace met Charles Babbage in London in 1833.',
  'a person who studies the history of the earth as it is recorded in rocks, and who often travels to places that nobody else would want to see',
  '3.14159 is close to pi; 22/7 is closer than 3.',
];
