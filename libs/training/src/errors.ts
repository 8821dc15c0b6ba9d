/** What is thrown where a graph cannot be differentiated, or where settings are wrong. */
import { ShoalError } from '@shoal/contracts';
import type { Node } from '@shoal/onnx';

/** The operator with its domain, where that is not ONNX's own: `com.microsoft.Attention`. */
export function operatorOf({ domain, op }: Pick<Node, 'domain' | 'op'>): string {
  return domain === '' || domain === 'ai.onnx' ? op : `${domain}.${op}`;
}

/** The graph has something that no gradient is known of. */
export function unsupported(node: Node, reason: string): ShoalError {
  const name = node.name || node.outputs.find((output) => output !== '') || 'without a name';
  return new ShoalError('model_invalid', `node ${name} (${operatorOf(node)}): ${reason}`);
}

/** The graph is not one that can be trained, whatever its nodes. */
export function untrainable(message: string): ShoalError {
  return new ShoalError('model_invalid', message);
}

/** What the caller asks for makes no sense. */
export function refused(message: string): ShoalError {
  return new ShoalError('invalid_request', message);
}
