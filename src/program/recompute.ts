import type { Builder } from './builder.js';
import type { Call, Value } from './types.js';

/**
 * Records a backward pass that computes what it reads from inside a segment of the forward pass once more, just before
 * the first reader, so that it need not be kept between the passes (activation checkpointing, Chen et al. 2016). Only
 * what other parts of the forward pass read of a segment is kept: its result. The same ops get the same operands, so no
 * bit of a gradient changes.
 */
export function withRecompute<T>(builder: Builder, recordBackward: () => T): T {
  const producers = producersInside(builder);
  const again = new Map<Value, Value>();
  const available = (value: Value | null): Value | null => {
    const call = value && producers.get(value);
    if (!call) return value;
    if (!again.has(value)) {
      const inputs = call.inputs.map(available);
      const outputs = call.outputs.map((output) => {
        const copy = builder.activation(`again.${output.name}`, output.shape, output.dtype);
        again.set(output, copy);
        return copy;
      });
      builder.call(call.op, inputs, outputs, call.attributes);
    }
    return again.get(value)!;
  };
  const forwardCalls = builder.calls.length;
  const result = recordBackward();
  for (const { op, inputs, outputs, attributes } of builder.takeBack(forwardCalls)) {
    builder.call(op, inputs.map(available), [...outputs], attributes);
  }
  return result;
}

/** Activations that no call outside of the segment that computes them reads, with the calls that compute them. */
function producersInside({ calls, segments }: Builder): Map<Value, Call> {
  const producers = new Map<Value, Call>();
  for (const call of segments.flat()) {
    for (const output of call.outputs) if (output.role === 'activation') producers.set(output, call);
  }
  const segmentOf = new Map(segments.flatMap((segment) => segment.map((call) => [call, segment] as const)));
  for (const call of calls) {
    for (const input of call.inputs) {
      const producer = input && producers.get(input);
      if (producer && segmentOf.get(producer) !== segmentOf.get(call)) producers.delete(input);
    }
  }
  return producers;
}
