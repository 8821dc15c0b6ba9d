/** What a model is called. */
import { describeIssue, ModelName } from '@shoal/contracts';
import { invalid } from '../invalid.js';

/** `asked` or, where that is left out, made of what its folder or file is called. @throws ShoalError `model_invalid` */
export function modelName(asked: string | undefined, own: string): string {
  const name =
    asked ??
    own
      .replace(/\.(gguf|onnx)$/i, '')
      .toLowerCase()
      .replaceAll(/[^a-z0-9._-]/g, '-')
      .replace(/^[^a-z0-9]+/, '');
  const checked = ModelName.safeParse(name, { error: describeIssue });
  if (checked.success) return checked.data;
  throw invalid(
    `${JSON.stringify(name)} is not a model name: ${checked.error.issues[0]?.message}; give another with --name`,
  );
}
