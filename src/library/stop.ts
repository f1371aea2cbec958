/** A wish to stop, which may come at any time. */
export interface Stop {
  isAsked: boolean;
  readonly asked: Promise<void>;
  readonly signal: AbortSignal;
  ask(): void;
}

export function createStop(): Stop {
  const controller = new AbortController();
  let resolve = () => {};
  const asked = new Promise<void>((settle) => {
    resolve = settle;
  });
  const stop = {
    isAsked: false,
    asked,
    signal: controller.signal,
    ask() {
      stop.isAsked = true;
      resolve();
      controller.abort();
    },
  };
  return stop;
}
