import type { Model } from '@shoal/models';
import { UserError } from '@shoal/tools/user-error';
import { expect, test } from 'vitest';
import { PatientApi } from './patient-api.js';
import { ServedTeacher } from './served-teacher.js';

test.each(['token-classification', 'text-generation'] as const)(
  'a model of %s is not asked for elsewhere, which is said before anybody is called',
  async (task) => {
    const teacher = new ServedTeacher(new PatientApi('http://127.0.0.1:1', undefined));
    const found = teacher.find({ name: 'm', task } as Model, new AbortController().signal);
    await expect(found).rejects.toThrow(UserError);
    await expect(found).rejects.toThrow(
      `--teacher is for text-classification, feature-extraction, rerank; m serves ${task}: leave it out.`,
    );
  },
);
