/** A wish to stop, which may come at any time. */
export function createStop() {
  let resolve = () => {};
  const asked = new Promise<void>((settle) => {
    resolve = settle;
  });
  const stop = {
    isAsked: false,
    asked,
    ask() {
      stop.isAsked = true;
      resolve();
    },
  };
  return stop;
}
